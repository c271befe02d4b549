"""Security files: what one program seals another opens, and every other file is refused with the right words."""

from __future__ import annotations

import binascii
import contextlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.crypto import envelope
from clawchat.crypto.bootstrap import ARGON2ID, HKDF, PBKDF2, SCRYPT, Kdf, KeyFile, Passphrase, default_kdf, stretch
from clawchat.crypto.credential import Credential, Slot, make_slot
from clawchat.crypto.fields import compact
from clawchat.crypto.secfile import (
    MAX_FILE_BYTES,
    MAX_SLOTS,
    check_fresh,
    decode_credential,
    encode_credential,
    open_file,
    open_slots,
    seal_file,
    seal_slots,
)
from clawchat.values.address import Address
from clawchat.values.errors import SecurityFileError, UsageError

KEY = KeyFile(bytes(range(32)))
PHRASE = Passphrase("correct horse battery staple")
# Fast enough for tests; what people get is checked once below.
QUICK = {
    "argon2id": Kdf("argon2id", {"iterations": 1, "lanes": 1, "memory_kib": 128}),
    "scrypt": Kdf("scrypt", {"log2_n": 2, "p": 1, "r": 1}),
    "pbkdf2-sha256": Kdf("pbkdf2-sha256", {"iterations": 10}),
}


def chance(seed: int = 7) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def slot(**changes: Any) -> Slot:  # noqa: ANN401 - whatever make_slot takes
    arguments: dict[str, Any] = {
        "name": "home",
        "hello_header_key": b"h" * 32,
        "candidates": [Address("203.0.113.1", 50_000), Address("2001:db8::1", 50_001)],
        "relays": ["wss://relay.example/a"],
        "timestamp": 1_000,
        "validity": 660,
    }
    return make_slot(chance(), **(arguments | changes))


CREDENTIAL = slot().credential
SEALED = seal_file(CREDENTIAL, KEY, chance())


def refusal(data: bytes, bootstrap: KeyFile | Passphrase = KEY) -> SecurityFileError:
    with pytest.raises(SecurityFileError) as refused:
        open_file(data, bootstrap)
    return refused.value


def edited(change: Callable[[dict[str, Any]], object], data: bytes = SEALED) -> bytes:
    document = json.loads(data)
    change(document)
    return json.dumps(document).encode()


def sealed_as(body: object) -> bytes:
    return envelope.seal(json.dumps(body).encode(), KEY, form="clawchat security file", random=chance())


# ---------------------------------------------------------------------------------------------------- there and back


def test_a_file_opens_under_its_key() -> None:
    assert open_file(SEALED, KEY) == CREDENTIAL


@pytest.mark.parametrize("kdf", QUICK)
def test_a_file_opens_under_its_passphrase(kdf: str) -> None:
    assert open_file(seal_file(CREDENTIAL, PHRASE, chance(), QUICK[kdf]), PHRASE) == CREDENTIAL


def test_a_passphrase_is_the_same_however_its_accents_are_typed() -> None:
    data = seal_file(CREDENTIAL, Passphrase("na\u00efve"), chance(), QUICK["scrypt"])
    assert open_file(data, Passphrase("nai\u0308ve")) == CREDENTIAL


def test_the_header_says_what_the_file_is() -> None:
    document = json.loads(SEALED)
    assert set(document) == {"header", "ciphertext"}
    header = document["header"]
    assert set(header) == {"format", "version", "kdf", "kdf_parameters", "salt", "nonce", "commitment"}
    assert header["version"] == "3.0"
    assert header["kdf"] == "hkdf-sha256"


def test_the_body_has_the_fields_that_other_programs_know() -> None:
    document = json.loads(SEALED)
    body = envelope.unseal(SEALED, KEY, form=document["header"]["format"], limit=MAX_FILE_BYTES)
    fields = json.loads(body)
    assert len(body) == 1024
    assert fields["version"] == "3.0"
    assert (fields["server_public_ip"], fields["server_udp_port"]) == ("203.0.113.1", 50_000)
    assert bytes.fromhex(fields["shared_secret"]) == CREDENTIAL.secret
    assert (fields["timestamp"], fields["valid_until"]) == (1_000, 1_660)
    assert set(fields) == {
        *("version", "server_public_ip", "server_udp_port", "shared_secret", "timestamp", "valid_until"),
        *("server_key", "slot_id", "hello_header_key", "name", "candidates", "relays"),
    }


def test_nothing_secret_stands_in_the_clear() -> None:
    text = SEALED.decode()
    for secret in (CREDENTIAL.secret, CREDENTIAL.server_key, CREDENTIAL.hello_header_key, CREDENTIAL.slot_id):
        assert secret.hex() not in text
    assert "203.0.113.1" not in text
    assert CREDENTIAL.name not in json.loads(SEALED)["header"].values()


def test_files_of_small_and_large_credentials_have_few_lengths() -> None:
    lengths = {
        len(seal_file(slot(name="x" * size, relays=[]).credential, KEY, chance(size))) for size in range(1, 65, 7)
    }
    assert len(lengths) == 1


def test_no_two_files_are_alike() -> None:
    assert seal_file(CREDENTIAL, KEY, chance(1)) != seal_file(CREDENTIAL, KEY, chance(2))


def test_a_credential_without_addresses_opens() -> None:
    credential = slot(candidates=[]).credential
    assert open_file(seal_file(credential, KEY, chance()), KEY) == credential


def test_the_largest_credential_fits() -> None:
    most = [Address(f"2001:db8:1111:2222:3333:4444:5555:{number:x}", 65_000) for number in range(16)]
    credential = slot(candidates=most, relays=["wss://" + "r" * 250] * 8, name="x" * 64).credential
    data = seal_file(credential, PHRASE, chance(), QUICK["argon2id"])
    assert len(data) <= MAX_FILE_BYTES
    assert open_file(data, PHRASE) == credential


def test_a_credential_too_large_for_a_file_is_the_callers_fault() -> None:
    with pytest.raises(UsageError):
        seal_file(slot(relays=["wss://" + "r" * 250] * 32).credential, KEY, chance())


@given(data=st.data())
def test_encoding_a_credential_and_decoding_it_is_the_identity(data: st.DataObject) -> None:
    keys = st.binary(min_size=32, max_size=32)
    times = st.integers(0, 1 << 40)
    hosts = st.ip_addresses().map(str)
    addresses = st.builds(Address.make, hosts, st.integers(0, 0xFFFF))
    credential = Credential(
        secret=bytearray(data.draw(keys)),
        server_key=data.draw(keys),
        slot_id=data.draw(st.binary(min_size=8, max_size=8)),
        hello_header_key=bytearray(data.draw(keys)),
        candidates=tuple(data.draw(st.lists(addresses, max_size=16))),
        relays=tuple(data.draw(st.lists(st.from_regex(r"wss://[a-z.]{1,60}", fullmatch=True), max_size=8))),
        timestamp=data.draw(times),
        valid_until=data.draw(times),
        name=data.draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)),
    )
    assert decode_credential(encode_credential(credential)) == credential


# ------------------------------------------------------------------------------------------- the wrong key or phrase


@pytest.mark.parametrize("kdf", QUICK)
def test_a_wrong_passphrase_is_told_from_a_damaged_file(kdf: str) -> None:
    data = seal_file(CREDENTIAL, PHRASE, chance(), QUICK[kdf])
    assert refusal(data, Passphrase("incorrect")).code == "CC-PASSPHRASE"


def test_a_wrong_key_file_is_told_from_a_damaged_file() -> None:
    assert refusal(SEALED, KeyFile(bytes(32))).code == "CC-PASSPHRASE"


@pytest.mark.parametrize(
    ("data", "bootstrap", "option"),
    [
        (SEALED, PHRASE, "--key-file"),
        (seal_file(CREDENTIAL, PHRASE, chance(), QUICK["scrypt"]), KEY, "--passphrase-file"),
    ],
    ids=["a passphrase for a key", "a key for a passphrase"],
)
def test_the_wrong_kind_of_key_names_the_option_to_give(
    data: bytes, bootstrap: KeyFile | Passphrase, option: str
) -> None:
    error = refusal(data, bootstrap)
    assert error.code == "CC-PASSPHRASE"
    assert option in error.action


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        KeyFile(bytes(31))


def test_keys_and_passphrases_are_not_shown() -> None:
    assert repr(KEY) == "KeyFile()"
    assert repr(PHRASE) == "Passphrase()"


# ----------------------------------------------------------------------------------------------- damaged and planted


@given(position=st.integers(0, len(SEALED) - 1), bit=st.integers(0, 7))
def test_no_changed_bit_goes_unnoticed(position: int, bit: int) -> None:
    changed = bytearray(SEALED)
    changed[position] ^= 1 << bit
    with contextlib.suppress(SecurityFileError):
        # A space for a line end, or a hexadecimal digit in the other case: the same document, read as the same.
        assert open_file(bytes(changed), KEY) == CREDENTIAL
        assert json.loads(bytes(changed).lower()) == json.loads(SEALED.lower())


@given(data=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    assert refusal(data).code == "CC-FILE-FORMAT"


def test_a_damaged_body_is_damage_not_a_wrong_key() -> None:
    def damage(document: dict[str, Any]) -> None:
        raw = bytearray(binascii.a2b_base64(document["ciphertext"]))
        raw[100] ^= 1
        document["ciphertext"] = binascii.b2a_base64(raw, newline=False).decode()

    error = refusal(edited(damage))
    assert error.code == "CC-FILE-FORMAT"
    assert "damaged" in error.cause


def test_the_header_is_authenticated() -> None:
    """Change what doesn't go into the key: the nonce."""
    error = refusal(edited(lambda document: document["header"].update(nonce="00" * 12)))
    assert error.code == "CC-FILE-FORMAT"


def test_another_version_is_said_to_be_one() -> None:
    assert refusal(edited(lambda document: document["header"].update(version="2.0"))).code == "CC-VERSION"


def deep(depth: int) -> bytes:
    return b'{"header":' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'"header"',
        deep(3_000),
        b" " * MAX_FILE_BYTES + b"{}",
        b'{"header": {}, "header": {}, "ciphertext": ""}',
        b'{"header": NaN, "ciphertext": ""}',
        b'{"header": ' + b"9" * 5_000 + b', "ciphertext": ""}',
        edited(lambda document: document.pop("header")),
        edited(lambda document: document.pop("ciphertext")),
        edited(lambda document: document.update(comment="hello")),
        edited(lambda document: document.update(header="hello")),
        edited(lambda document: document.update(ciphertext="AAAA")),
        edited(lambda document: document.update(ciphertext="not base64!")),
        edited(lambda document: document.update(ciphertext=document["ciphertext"] + "\n")),
        edited(lambda document: document.update(ciphertext=None)),
        edited(lambda document: document["header"].pop("salt")),
        edited(lambda document: document["header"].update(comment="hello")),
        edited(lambda document: document["header"].update(format="clawchat slots")),
        edited(lambda document: document["header"].update(format=3)),
        edited(lambda document: document["header"].update(version=3.0)),
        edited(lambda document: document["header"].update(kdf="rot13")),
        edited(lambda document: document["header"].update(kdf_parameters={"iterations": 1})),
        edited(lambda document: document["header"].update(kdf_parameters=[])),
        edited(lambda document: document["header"].update(salt="00" * 15)),
        edited(lambda document: document["header"].update(salt=" 0" * 16)),
        edited(lambda document: document["header"].update(salt="zz" * 16)),
        edited(lambda document: document["header"].update(salt=0)),
        edited(lambda document: document["header"].update(nonce="00" * 16)),
        edited(lambda document: document["header"].update(commitment="")),
    ],
)
def test_a_file_in_another_form_is_refused(data: bytes) -> None:
    assert refusal(data).code == "CC-FILE-FORMAT"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("argon2id", {"iterations": 3, "lanes": 4, "memory_kib": 1 << 30}),
        ("argon2id", {"iterations": 1 << 30, "lanes": 4, "memory_kib": 65_536}),
        ("argon2id", {"iterations": 3, "lanes": 0, "memory_kib": 65_536}),
        ("argon2id", {"iterations": 3, "lanes": 4}),
        ("argon2id", {"iterations": 3, "lanes": 4, "memory_kib": 65_536, "ad": 1}),
        ("argon2id", {"iterations": True, "lanes": 4, "memory_kib": 65_536}),
        ("argon2id", {"iterations": 3.0, "lanes": 4, "memory_kib": 65_536}),
        ("argon2id", {"iterations": "3", "lanes": 4, "memory_kib": 65_536}),
        ("scrypt", {"log2_n": 40, "p": 1, "r": 8}),
        ("scrypt", {"log2_n": 17, "p": 1 << 20, "r": 8}),
        ("pbkdf2-sha256", {"iterations": 1 << 40}),
        ("hkdf-sha256", {"iterations": 1}),
    ],
)
def test_a_planted_file_cannot_make_the_derivation_dear(
    name: str, parameters: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def derived(*_: object) -> bytearray:
        pytest.fail("a key was derived before the header was checked")

    monkeypatch.setattr(envelope, "stretch", derived)
    data = edited(lambda document: document["header"].update(kdf=name, kdf_parameters=parameters))
    assert refusal(data, PHRASE).code == "CC-FILE-FORMAT"


def body_with(**changes: object) -> dict[str, object]:
    fields: dict[str, object] = json.loads(bytes(encode_credential(CREDENTIAL)))
    return fields | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "2.0"},
        {"server_public_ip": "203.0.113.9"},
        {"server_udp_port": 50_001},
        {"server_udp_port": "50000"},
        {"shared_secret": "00" * 31},
        {"shared_secret": ["00"] * 32},
        {"server_key": None},
        {"slot_id": "00" * 9},
        {"candidates": "203.0.113.1:50000"},
        {"candidates": ["203.0.113.1:50000", 7]},
        {"candidates": ["203.0.113.1:50000"] * 17},
        {"candidates": ["203.0.113.1:500000"]},
        {"candidates": ["example.org:50000"]},
        {"relays": [""] * 9},
        {"relays": ["wss://a\n"]},
        {"timestamp": -1},
        {"timestamp": 1.5},
        {"valid_until": 1 << 60},
        {"name": "../home"},
        {"name": "\x1b[2J"},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_body_in_another_form_is_refused_even_under_the_right_key(changes: dict[str, object]) -> None:
    assert refusal(sealed_as(body_with(**changes))).code == "CC-FILE-FORMAT"


@given(data=st.binary(max_size=200))
def test_an_arbitrary_credential_is_refused(data: bytes) -> None:
    with pytest.raises(SecurityFileError):
        decode_credential(data)


# ------------------------------------------------------------------------------------------------ time, slots, costs


@pytest.mark.parametrize(
    ("now", "words"),
    [(1_660, None), (1_661, "1 seconds ago"), (1_660 + 600, "10 minutes"), (1_660 + 36_000, "10 hours")],
)
def test_a_clock_past_the_end_gives_advice(now: int, words: str | None) -> None:
    error = check_fresh(CREDENTIAL, now)
    assert (error is None) == (words is None)
    if error and words:
        assert error.code == "CC-FILE-EXPIRED"
        assert words in error.cause


def test_slots_survive_a_restart() -> None:
    slots = [slot(), slot(name="phone", reusable=True)]
    again = open_slots(seal_slots(slots, KEY, chance()), KEY)
    assert [each.credential for each in again] == [each.credential for each in slots]
    assert [each.reusable for each in again] == [False, True]
    assert [each.prologue for each in again] == [each.prologue for each in slots]
    assert [each.private.private_bytes_raw() for each in again] == [each.private.private_bytes_raw() for each in slots]


def test_no_slots_are_slots_too() -> None:
    assert open_slots(seal_slots([], KEY, chance()), KEY) == []


def test_a_security_file_is_no_slots_file() -> None:
    with pytest.raises(SecurityFileError):
        open_slots(SEALED, KEY)


def test_a_slot_with_another_private_key_is_refused() -> None:
    made = slot()
    made.credential = replace(made.credential, server_key=bytes(31) + b"\x09")
    with pytest.raises(SecurityFileError) as refused:
        open_slots(seal_slots([made], KEY, chance()), KEY)
    assert refused.value.code == "CC-FILE-FORMAT"


def test_too_many_slots_are_the_callers_fault() -> None:
    with pytest.raises(UsageError):
        seal_slots([slot()] * (MAX_SLOTS + 1), KEY, chance())


def test_people_get_the_strongest_function_there_is() -> None:
    assert default_kdf(KEY) == HKDF
    assert default_kdf(PHRASE) in [ARGON2ID, SCRYPT, PBKDF2]
    assert dict(ARGON2ID.parameters) == {"iterations": 3, "lanes": 4, "memory_kib": 65_536}
    assert PBKDF2.parameters["iterations"] == 600_000
    assert open_file(seal_file(CREDENTIAL, PHRASE, chance()), PHRASE) == CREDENTIAL


@pytest.mark.parametrize("kdf", QUICK)
def test_salt_and_passphrase_both_matter(kdf: str) -> None:
    keys = [
        stretch(Passphrase(text), QUICK[kdf], salt * 16, 64) for text in ("one", "two") for salt in (b"\x00", b"\x01")
    ]
    assert len({bytes(key) for key in keys}) == 4


def test_the_compact_form_is_one() -> None:
    assert compact({"b": 1, "a": "ü"}) == b'{"a":"\\u00fc","b":1}'
