"""Sealed documents at rest: a header everybody can read, and a body under the bootstrap key.

::

    {"header": {"format", "version", "kdf", "kdf_parameters", "salt", "nonce", "commitment"}, "ciphertext"}

The body is AES-256-GCM; its additional data is the header in compact form, so every field of it is authenticated.
GCM alone lets one cipher text open under two keys, so 64 bytes are derived: 32 are the key, and 32 stand in the
header as a commitment to it. That also tells a wrong key from a damaged file.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable
from hmac import compare_digest
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.bootstrap import (
    SALT_BYTES,
    Bootstrap,
    Kdf,
    Passphrase,
    default_kdf,
    fits,
    read_kdf,
    stretch,
)
from clawchat.crypto.derive import wipe
from clawchat.crypto.fields import FieldError, Fields, compact
from clawchat.crypto.noise import KEY_BYTES, NONCE_BYTES
from clawchat.values.errors import SecurityFileError
from clawchat.values.limits import TAG

VERSION: Final = "3.0"
PADDING_BYTES: Final = 1024
"""Bodies are padded to a multiple of this, so that their length says little about what they hold."""

_COMMITMENT_BYTES: Final = 32
_MAX_TEXT: Final = 64


def seal(
    body: bytes | bytearray,
    bootstrap: Bootstrap,
    *,
    form: str,
    random: Callable[[int], bytes],
    kdf: Kdf | None = None,
) -> bytes:
    """Seal a JSON document; ``form`` names what it is. Padding is spaces, which JSON ignores at its end."""
    kdf = kdf or default_kdf(bootstrap)
    salt, nonce = random(SALT_BYTES), random(NONCE_BYTES)
    derived = stretch(bootstrap, kdf, salt, KEY_BYTES + _COMMITMENT_BYTES)
    header: dict[str, object] = {
        "format": form,
        "version": VERSION,
        "kdf": kdf.name,
        "kdf_parameters": dict(kdf.parameters),
        "salt": salt.hex(),
        "nonce": nonce.hex(),
        "commitment": derived[KEY_BYTES:].hex(),
    }
    padded = bytearray(body) + b" " * (-len(body) % PADDING_BYTES)
    ciphertext = AESGCM(derived[:KEY_BYTES]).encrypt(nonce, padded, compact(header))
    wipe(derived, padded)
    document = {"header": header, "ciphertext": binascii.b2a_base64(ciphertext, newline=False).decode()}
    return json.dumps(document, indent=1).encode() + b"\n"


def unseal(data: bytes, bootstrap: Bootstrap, *, form: str, limit: int) -> bytearray:
    """Open a sealed document of at most ``limit`` bytes; the caller wipes the result.

    Raises SecurityFileError: CC-FILE-FORMAT if it isn't one or is damaged, CC-VERSION, CC-PASSPHRASE if the
    bootstrap key is not the one it was sealed with. Nothing is derived before the whole form is checked.
    """
    if len(data) > limit:
        raise SecurityFileError("CC-FILE-FORMAT", f"the file is larger than {limit} bytes, which no such file is")
    try:
        document = Fields.parse(data)
        header = document.mapping("header")
        ciphertext = document.base64("ciphertext")
        document.end()
        kdf, salt, nonce, commitment = _read_header(header, form)
        if len(ciphertext) < TAG or (len(ciphertext) - TAG) % PADDING_BYTES:
            raise FieldError("`ciphertext` isn't complete")
    except FieldError as error:
        raise SecurityFileError("CC-FILE-FORMAT", f"the file isn't in the form it should have: {error}") from None
    _check_kind(kdf, bootstrap)
    derived = stretch(bootstrap, kdf, salt, KEY_BYTES + _COMMITMENT_BYTES)
    try:
        if not compare_digest(derived[KEY_BYTES:], commitment):
            what = "passphrase" if isinstance(bootstrap, Passphrase) else "key file"
            raise SecurityFileError("CC-PASSPHRASE", f"the {what} isn't the one this file was sealed with")
        body = bytearray(len(ciphertext) - TAG)
        AESGCM(derived[:KEY_BYTES]).decrypt_into(nonce, ciphertext, compact(header), body)
    except InvalidTag:
        raise SecurityFileError("CC-FILE-FORMAT", "the key is right, but the file was damaged or changed") from None
    finally:
        wipe(derived)
    return body


def _read_header(header: dict[str, object], form: str) -> tuple[Kdf, bytes, bytes, bytes]:
    fields = Fields(header)
    if fields.text("format", maximum=_MAX_TEXT) != form:
        raise FieldError(f"`format` isn't {form}")
    version = fields.text("version", maximum=_MAX_TEXT)
    if version != VERSION:
        raise SecurityFileError("CC-VERSION", f"the file is of version {version}, this program knows {VERSION}")
    kdf = read_kdf(fields.text("kdf", maximum=_MAX_TEXT), fields.mapping("kdf_parameters"))
    salt = fields.hexadecimal("salt", SALT_BYTES)
    nonce = fields.hexadecimal("nonce", NONCE_BYTES)
    commitment = fields.hexadecimal("commitment", _COMMITMENT_BYTES)
    fields.end()
    return kdf, bytes(salt), bytes(nonce), bytes(commitment)


def _check_kind(kdf: Kdf, bootstrap: Bootstrap) -> None:
    if fits(kdf, bootstrap):
        return
    if isinstance(bootstrap, Passphrase):
        raise SecurityFileError(
            "CC-PASSPHRASE", "the file was sealed with a key file, not with a passphrase", "Give `--key-file PATH`."
        )
    raise SecurityFileError(
        "CC-PASSPHRASE",
        "the file was sealed with a passphrase, not with a key file",
        "Give `--passphrase-file PATH`, or run in a terminal to be asked.",
    )
