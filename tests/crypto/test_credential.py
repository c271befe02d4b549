from __future__ import annotations

import random
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from clawchat.crypto.credential import Credential, Slot, check_name, make_slot
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError

HEADER_KEY = b"h" * 32


def slot(seed: int = 1, *, name: str = "home", reusable: bool = False) -> Slot:
    return make_slot(
        random.Random(seed).randbytes,
        name=name,
        hello_header_key=HEADER_KEY,
        candidates=[Address("203.0.113.1", 50_000), Address("2001:db8::1", 50_001)],
        relays=["wss://relay.example/a"],
        timestamp=1_000,
        validity=660,
        reusable=reusable,
    )


def test_a_slot_holds_the_private_key_of_its_credential() -> None:
    made = slot()
    assert made.private.public_key().public_bytes_raw() == made.credential.server_key
    assert made.credential.valid_until == 1_660
    assert not made.reusable


def test_a_slot_is_a_function_of_the_random_bytes() -> None:
    assert slot(1).credential == slot(1).credential
    assert slot(1).credential != slot(2).credential


def test_both_holders_derive_the_same_keys_all_different() -> None:
    credential = slot().credential
    keys = credential.keys()
    assert keys == credential.keys()
    assert len({bytes(key) for key in keys}) == len(keys)
    assert [len(key) for key in keys] == [32, 32, 32, 16, 32, 16]


def test_the_keys_are_these() -> None:
    """Pin the derivation: a change here is a change of the protocol's version."""
    keys = replace(slot().credential, secret=bytearray(32)).keys()
    assert keys.hello.hex() == "f37b3d6b9d0b65332d3c9f2d1d493f39747fdba3369bb9ca7861d86e33d4b9da"
    assert keys.mailbox.hex() == "6d5b458437e53700f999dae5403125b6"


CHANGES = {
    "secret": bytearray(b"x" * 32),
    "server_key": b"x" * 32,
    "slot_id": b"x" * 8,
    "hello_header_key": bytearray(b"x" * 32),
    "candidates": (Address("203.0.113.1", 50_000),),
    "relays": (),
    "timestamp": 1_001,
    "valid_until": 1_661,
    "name": "home2",
    "websocket": "ws://:8443",
}


def test_every_field_is_changed_below() -> None:
    assert set(CHANGES) == set(Credential.__dataclass_fields__)


@pytest.mark.parametrize("field", CHANGES)
def test_every_field_is_bound_into_the_prologue(field: str) -> None:
    credential = slot().credential
    changed = replace(credential, **{field: CHANGES[field]})  # type: ignore[arg-type] # the table fits
    assert changed.prologue() != credential.prologue()


def test_no_two_lists_share_a_canonical_form() -> None:
    credential = slot().credential
    forms = {
        replace(credential, relays=relays).prologue() for relays in [("ab", "c"), ("a", "bc"), ("abc",), ("abc", "")]
    }
    assert len(forms) == 4


def test_what_is_shown_holds_no_secret() -> None:
    credential = slot().credential
    shown = repr(credential) + repr(slot())
    for secret in (credential.secret, credential.server_key, credential.hello_header_key):
        assert repr(bytes(secret))[2:-1] not in shown
        assert secret.hex() not in shown


def test_a_wiped_slot_has_no_secrets() -> None:
    made = slot()
    made.wipe()
    assert made.credential.secret == made.credential.hello_header_key == bytes(32)
    assert all(not any(key) for key in made.keys)


def test_a_slot_wipes_its_own_header_key_only() -> None:
    key = bytearray(HEADER_KEY)
    made = make_slot(
        random.Random(1).randbytes,
        name="home",
        hello_header_key=key,
        candidates=[],
        relays=[],
        timestamp=0,
        validity=1,
    )
    made.wipe()
    assert key == HEADER_KEY


@pytest.mark.parametrize("name", ["a", "home", "0", "my.server-2_b", "A" * 64])
def test_a_good_name(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-flag", "a/b", "a\\b", "a b", "a\n", "ü", "A" * 65])
def test_a_bad_name(name: str) -> None:
    with pytest.raises(PersonalError) as refused:
        slot(name=name)
    assert refused.value.code == "CC-NAME"


def test_a_reusable_slot_says_so() -> None:
    assert slot(reusable=True).reusable
    assert isinstance(slot().private, X25519PrivateKey)
