"""Security files (`NAME.sec`): a credential, sealed under the bootstrap key; and the server's slots, likewise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from clawchat.crypto.bootstrap import Bootstrap, Kdf
from clawchat.crypto.credential import KEY_BYTES, SLOT_ID_BYTES, Credential, Slot, check_name
from clawchat.crypto.derive import wipe
from clawchat.crypto.envelope import VERSION, seal, unseal
from clawchat.crypto.fields import FieldError, Fields, compact
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError, SecurityFileError, UsageError
from clawchat.values.limits import MAX_OBSERVED_CANDIDATES, MAX_RELAY_TEXT, MAX_RELAYS, MAX_WEBSOCKET_URL
from clawchat.values.websocket import check_websocket

MAX_FILE_BYTES: Final = 8 * 1024
MAX_SLOTS: Final = 64
MAX_SLOTS_FILE_BYTES: Final = MAX_SLOTS * MAX_FILE_BYTES
FILE_FORM: Final = "clawchat security file"
SLOTS_FORM: Final = "clawchat slots"

_MAX_NAME: Final = 64
_MAX_ADDRESS: Final = 64
_MAX_TIME: Final = 1 << 40


def seal_file(
    credential: Credential, bootstrap: Bootstrap, random: Callable[[int], bytes], kdf: Kdf | None = None
) -> bytes:
    """Return a security file's bytes. Raises UsageError if the credential is too large for one."""
    body = encode_credential(credential)
    try:
        data = seal(body, bootstrap, form=FILE_FORM, random=random, kdf=kdf)
    finally:
        wipe(body)
    if len(data) > MAX_FILE_BYTES:
        raise UsageError("the credential is too large for a security file")
    return data


def open_file(data: bytes, bootstrap: Bootstrap) -> Credential:
    """Open a security file's bytes; whether it is still valid is for ``check_fresh``.

    Raises SecurityFileError: CC-FILE-FORMAT, CC-VERSION or CC-PASSPHRASE.
    """
    body = unseal(data, bootstrap, form=FILE_FORM, limit=MAX_FILE_BYTES)
    try:
        return decode_credential(body)
    finally:
        wipe(body)


def check_fresh(credential: Credential, now_unix: float) -> SecurityFileError | None:
    """Return the error to show if, by this clock, the credential's time is over."""
    over = now_unix - credential.valid_until
    if over <= 0:
        return None
    return SecurityFileError("CC-FILE-EXPIRED", f"by this machine's clock it expired {_span(over)} ago")


def encode_credential(credential: Credential) -> bytearray:
    """Encode a credential as JSON; the caller wipes the result."""
    return bytearray(compact(_credential_fields(credential)))


def decode_credential(data: bytes | bytearray) -> Credential:
    """Decode what ``encode_credential`` made. Raises SecurityFileError (CC-FILE-FORMAT)."""
    try:
        fields = Fields.parse(data)
        credential = _read_credential(fields)
        fields.end()
    except FieldError as error:
        raise SecurityFileError("CC-FILE-FORMAT", f"the credential isn't in order: {error}") from None
    return credential


def seal_slots(
    slots: Sequence[Slot], bootstrap: Bootstrap, random: Callable[[int], bytes], kdf: Kdf | None = None
) -> bytes:
    """Return the server's slots, sealed, to survive a restart; at most MAX_SLOTS."""
    if len(slots) > MAX_SLOTS:
        raise UsageError(f"more than {MAX_SLOTS} slots")
    body = bytearray(compact({"version": VERSION, "slots": [_slot_fields(slot) for slot in slots]}))
    try:
        return seal(body, bootstrap, form=SLOTS_FORM, random=random, kdf=kdf)
    finally:
        wipe(body)


def open_slots(data: bytes, bootstrap: Bootstrap) -> list[Slot]:
    """Open what ``seal_slots`` made. Raises SecurityFileError like ``open_file``."""
    body = unseal(data, bootstrap, form=SLOTS_FORM, limit=MAX_SLOTS_FILE_BYTES)
    try:
        fields = Fields.parse(body)
        _check_version(fields)
        slots = [_read_slot(each) for each in fields.items("slots", count=MAX_SLOTS)]
        fields.end()
    except FieldError as error:
        raise SecurityFileError("CC-FILE-FORMAT", f"the slots aren't in order: {error}") from None
    finally:
        wipe(body)
    return slots


def _credential_fields(credential: Credential) -> dict[str, object]:
    first = credential.candidates[0] if credential.candidates else None
    return {
        "version": VERSION,
        "server_public_ip": first.host if first else "",
        "server_udp_port": first.port if first else 0,
        "shared_secret": credential.secret.hex(),
        "timestamp": credential.timestamp,
        "valid_until": credential.valid_until,
        "server_key": credential.server_key.hex(),
        "slot_id": credential.slot_id.hex(),
        "hello_header_key": credential.hello_header_key.hex(),
        "name": credential.name,
        "candidates": [str(address) for address in credential.candidates],
        "relays": list(credential.relays),
        **({"websocket": credential.websocket} if credential.websocket else {}),
    }


def _read_credential(fields: Fields) -> Credential:
    _check_version(fields)
    host = fields.text("server_public_ip", maximum=_MAX_ADDRESS)
    port = fields.number("server_udp_port", 0, 0xFFFF)
    credential = Credential(
        secret=fields.hexadecimal("shared_secret", KEY_BYTES),
        server_key=bytes(fields.hexadecimal("server_key", KEY_BYTES)),
        slot_id=bytes(fields.hexadecimal("slot_id", SLOT_ID_BYTES)),
        hello_header_key=fields.hexadecimal("hello_header_key", KEY_BYTES),
        candidates=_read_addresses(fields),
        relays=fields.texts("relays", maximum=MAX_RELAY_TEXT, count=MAX_RELAYS),
        timestamp=fields.number("timestamp", 0, _MAX_TIME),
        valid_until=fields.number("valid_until", 0, _MAX_TIME),
        name=_read_name(fields),
        websocket=_read_websocket(fields) if fields.has("websocket") else "",
    )
    if (host, port) != (credential.candidates[0] if credential.candidates else ("", 0)):
        raise FieldError("`server_public_ip` and `server_udp_port` aren't the first of `candidates`")
    return credential


def _slot_fields(slot: Slot) -> dict[str, object]:
    private = slot.private.private_bytes_raw().hex()
    return _credential_fields(slot.credential) | {"private_key": private, "reusable": slot.reusable}


def _read_slot(fields: Fields) -> Slot:
    private_key = fields.hexadecimal("private_key", KEY_BYTES)
    private = X25519PrivateKey.from_private_bytes(private_key)
    wipe(private_key)
    reusable = fields.flag("reusable")
    credential = _read_credential(fields)
    fields.end()
    if private.public_key().public_bytes_raw() != credential.server_key:
        raise FieldError("`private_key` and `server_key` don't belong together")
    return Slot(credential, private, reusable=reusable)


def _read_name(fields: Fields) -> str:
    try:
        return check_name(fields.text("name", maximum=_MAX_NAME))
    except PersonalError as error:
        raise FieldError(f"`name`: {error}") from None


def _read_websocket(fields: Fields) -> str:
    try:
        return check_websocket(fields.text("websocket", maximum=MAX_WEBSOCKET_URL))
    except UsageError as error:
        raise FieldError(f"`websocket`: {error}") from None


def _read_addresses(fields: Fields) -> tuple[Address, ...]:
    texts = fields.texts("candidates", maximum=_MAX_ADDRESS, count=MAX_OBSERVED_CANDIDATES)
    try:
        addresses = tuple(map(Address.parse, texts))
    except UsageError as error:
        raise FieldError(f"`candidates`: {error}") from None
    return addresses


def _check_version(fields: Fields) -> None:
    if fields.text("version", maximum=_MAX_NAME) != VERSION:
        raise FieldError(f"`version` isn't {VERSION}")


def _span(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 2:  # noqa: PLR2004 - below, minutes say nothing
        return f"{seconds:.0f} seconds"
    return f"{minutes:.0f} minutes" if hours < 2 else f"{hours:.0f} hours"  # noqa: PLR2004 - likewise
