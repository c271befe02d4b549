"""HELLO and WELCOME: what one end seals the other opens, and nothing else opens."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from clawchat.crypto.credential import Slot, make_slot
from clawchat.crypto.header import HeaderCipher
from clawchat.crypto.keylog import parse
from clawchat.crypto.noise import Initiator
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram, UsageError
from clawchat.values.limits import BLOCK, MAX_HELLO, MIN_HELLO
from clawchat.wire.handshake import (
    EPHEMERAL_BYTES,
    Hello,
    SessionParameters,
    Welcome,
    open_hello,
    open_welcome,
    seal_hello,
    seal_welcome,
    unseal_hello,
)

V4 = Address("203.0.113.7", 50_007)
V6 = Address("2001:db8::7", 50_007)
HELLO = Hello(b"client_1", b"c" * 32, (V4, V6))
WELCOME = Welcome(b"server_1", b"s" * 32, V4, (V6, V4), SessionParameters(1 << 20, 1 << 21, 256, 1472, 180))


def new_slot(seed: int = 1) -> Slot:
    return make_slot(
        random.Random(seed).randbytes,
        name="home",
        hello_header_key=b"h" * 32,
        candidates=[V4],
        relays=[],
        timestamp=0,
        validity=660,
    )


SLOT = new_slot()


class Client(NamedTuple):
    """A client that has sent its HELLO."""

    noise: Initiator
    hello: Hello
    datagram: bytes


def greet(hello: Hello = HELLO, size: int = 400, seed: int = 2, keylog: list[str] | None = None) -> Client:
    chance = random.Random(seed).randbytes
    log = None if keylog is None else keylog.append
    credential = SLOT.credential
    noise = Initiator(credential.prologue(), SLOT.keys.psk, credential.server_key, chance(EPHEMERAL_BYTES), log)
    datagram = seal_hello(credential, SLOT.keys, noise, hello, random=chance, size=size, keylog=log)
    return Client(noise, hello, datagram)


def answer(client: Client, welcome: Welcome = WELCOME, size: int = 400, seed: int = 3) -> bytes:
    chance = random.Random(seed).randbytes
    hello, noise = open_hello(unseal_hello(client.datagram, SLOT), SLOT)
    header = HeaderCipher(hello.header_key)
    return seal_welcome(
        SLOT.keys, noise, hello, header, welcome, ephemeral=chance(EPHEMERAL_BYTES), random=chance, size=size
    )


def read(client: Client, datagram: bytes) -> Welcome:
    return open_welcome(datagram, SLOT.keys, client.noise, client.hello)


# ----------------------------------------------------------------------------------------------------- there and back


def test_both_ends_say_what_the_other_hears_and_share_their_secrets() -> None:
    client = greet()
    hello, noise = open_hello(unseal_hello(client.datagram, SLOT), SLOT)
    assert hello == HELLO
    welcome = seal_welcome(
        SLOT.keys,
        noise,
        hello,
        HeaderCipher(hello.header_key),
        WELCOME,
        ephemeral=b"e" * 32,
        random=random.Random(3).randbytes,
        size=300,
    )
    assert read(client, welcome) == WELCOME
    ours, theirs = client.noise.finish(), noise.finish()
    assert (ours.send, ours.receive, ours.root) == (theirs.receive, theirs.send, theirs.root)
    assert ours.handshake_hash == theirs.handshake_hash


ADDRESSES = st.builds(Address.make, st.ip_addresses().map(str), st.integers(0, 0xFFFF))
IDS = st.binary(min_size=8, max_size=8)
KEYS = st.binary(min_size=32, max_size=32)
LISTS = st.lists(ADDRESSES, max_size=16).map(tuple)
SIZES = st.integers(640, MAX_HELLO)
U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF)


@given(hello=st.builds(Hello, IDS, KEYS, LISTS, st.none() | U32), size=SIZES)
def test_any_hello_opens_as_it_was_sealed(hello: Hello, size: int) -> None:
    datagram = greet(hello, size).datagram
    assert len(datagram) == size
    assert open_hello(unseal_hello(datagram, SLOT), SLOT)[0] == hello


PARAMETERS = st.builds(SessionParameters, U32, U32, U16, U16, U16)


@given(welcome=st.builds(Welcome, IDS, KEYS, ADDRESSES, LISTS, PARAMETERS), size=SIZES)
def test_any_welcome_opens_as_it_was_sealed(welcome: Welcome, size: int) -> None:
    client = greet()
    datagram = answer(client, welcome, size)
    assert len(datagram) == size
    assert read(client, datagram) == welcome


def test_the_header_names_the_slot_to_the_server_and_the_client_to_itself() -> None:
    client = greet()
    plain = HeaderCipher(SLOT.credential.hello_header_key).unmask(client.datagram[:BLOCK])
    assert plain[:8] == SLOT.credential.slot_id
    plain = HeaderCipher(HELLO.header_key).unmask(answer(client)[:BLOCK])
    assert plain[:10] == HELLO.cid + b"\xff\xff"


@pytest.mark.parametrize("count", range(17))
def test_candidates_that_do_not_fit_are_left_out_from_the_end(count: int) -> None:
    candidates = tuple(Address(f"2001:db8::{number + 1:x}", 50_000) for number in range(count))
    client = greet(HELLO._replace(candidates=candidates), MIN_HELLO)
    heard, _ = open_hello(unseal_hello(client.datagram, SLOT), SLOT)
    assert len(client.datagram) == MIN_HELLO
    assert heard.candidates == candidates[: len(heard.candidates)]
    assert len(heard.candidates) >= min(count, 6)

    datagram = answer(client, WELCOME._replace(candidates=candidates, observed=V6), MIN_HELLO)
    welcome = read(client, datagram)
    assert len(datagram) == MIN_HELLO
    assert welcome.candidates == candidates[: len(welcome.candidates)]
    assert len(welcome.candidates) >= min(count, 4)


def test_more_candidates_than_allowed_are_not_sent() -> None:
    client = greet(HELLO._replace(candidates=(V4,) * 20), MAX_HELLO)
    assert open_hello(unseal_hello(client.datagram, SLOT), SLOT)[0].candidates == (V4,) * 16


@pytest.mark.parametrize("size", [0, MIN_HELLO - 1, MAX_HELLO + 1])
def test_a_size_that_is_not_allowed_is_the_callers_fault(size: int) -> None:
    with pytest.raises(UsageError):
        greet(size=size)
    with pytest.raises(UsageError):
        answer(greet(), size=size)


def test_retries_have_nothing_in_common() -> None:
    """Same words, other randomness: no eight bytes of one datagram stand in the other."""
    one, other = greet(seed=4).datagram, greet(seed=5).datagram
    chunks = {one[i : i + 8] for i in range(len(one) - 7)}
    assert not [other[i : i + 8] for i in range(len(other) - 7) if other[i : i + 8] in chunks]


def test_the_ephemeral_key_tells_repeats_apart() -> None:
    first, again, retry = greet(seed=4).datagram, greet(seed=4).datagram, greet(seed=5).datagram
    keys = [unseal_hello(datagram, SLOT)[:EPHEMERAL_BYTES] for datagram in (first, again, retry)]
    assert keys[0] == keys[1] != keys[2]


# ------------------------------------------------------------------------------------------------------------ refusals


@given(position=st.integers(0, 399), bit=st.integers(0, 7))
def test_no_changed_bit_of_a_hello_opens(position: int, bit: int) -> None:
    changed = bytearray(greet().datagram)
    changed[position] ^= 1 << bit
    with pytest.raises(BadDatagram):
        unseal_hello(bytes(changed), SLOT)


@given(position=st.integers(0, 399), bit=st.integers(0, 7))
def test_no_changed_bit_of_a_welcome_opens_and_the_true_one_still_does(position: int, bit: int) -> None:
    client = greet()
    datagram = answer(client)
    changed = bytearray(datagram)
    changed[position] ^= 1 << bit
    with pytest.raises(BadDatagram):
        read(client, bytes(changed))
    assert read(client, datagram) == WELCOME


@given(datagram=st.binary(max_size=1300))
def test_arbitrary_bytes_do_not_open(datagram: bytes) -> None:
    with pytest.raises(BadDatagram):
        unseal_hello(datagram, SLOT)
    with pytest.raises(BadDatagram):
        read(greet(), datagram)


def sealed(body: bytes, key: bytes | bytearray) -> bytes:
    """Seal a body as somebody with the credential could."""
    block = bytes(BLOCK)
    return block + AESGCM(key).encrypt(block[:12], body.ljust(MIN_HELLO, b"\0"), block)


@given(body=st.binary(max_size=MIN_HELLO))
def test_arbitrary_bytes_of_a_holder_of_the_credential_do_not_open(body: bytes) -> None:
    with pytest.raises(BadDatagram):
        open_hello(unseal_hello(sealed(body, SLOT.keys.hello), SLOT), SLOT)
    with pytest.raises(BadDatagram):
        read(greet(), sealed(body, SLOT.keys.welcome))


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\x00",  # no message at all
        b"\x00\x2f" + bytes(47),  # shorter than any Noise message
        b"\xff\xff",  # longer than the datagram
        b"\x00\x30" + bytes(48) + b"\x01",  # something behind the message
    ],
)
def test_an_envelope_that_is_not_filled_as_it_should_be_is_refused(body: bytes) -> None:
    with pytest.raises(BadDatagram, match="envelope"):
        unseal_hello(sealed(body, SLOT.keys.hello), SLOT)


V4_BYTES = bytes((4, 203, 0, 113, 7, 0xC3, 0x57))
CID, KEY = b"client_1", b"c" * 32


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "hello"),
        (b"\x03\x00" + CID, "hello"),
        (b"\x02\x00" + CID + KEY + b"\x00", "version"),
        (b"\x04\x00" + CID + KEY + b"\x00", "version"),
        (b"\x03\x00" + CID + KEY, "hello"),
        (b"\x03\x00" + CID + KEY + b"\x00\x00", "hello"),
        (b"\x03\x00" + CID + KEY + b"\x01", "address"),
        (b"\x03\x00" + CID + KEY + b"\x01" + V4_BYTES[:-1], "address"),
        (b"\x03\x00" + CID + KEY + b"\x01\x05" + V4_BYTES[1:], "address"),
        (b"\x03\x00" + CID + KEY + b"\x11" + V4_BYTES * 17, "candidates"),
        (b"\x03\x01" + CID + KEY + b"\x00\x00\x00\x00", "hello"),
        (b"\x03\x02" + CID + KEY + b"\x00", "hello"),
        (b"\x03\x01" + CID + KEY + b"\x00\x00\x00\x00\x00", None),
        (b"\x03\x00" + CID + KEY + b"\x01" + V4_BYTES, None),
    ],
)
def test_a_hello_says_all_of_it_and_nothing_more(payload: bytes, reason: str | None) -> None:
    credential = SLOT.credential
    noise = Initiator(credential.prologue(), SLOT.keys.psk, credential.server_key, b"i" * 32)
    message = noise.write_hello(payload)
    if reason is None:
        open_hello(message, SLOT)
        return
    with pytest.raises(BadDatagram) as refused:
        open_hello(message, SLOT)
    assert refused.value.reason == reason


PARAMETER_BYTES = bytes(14)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "welcome"),
        (b"\x02" + CID + KEY + V4_BYTES + b"\x00" + PARAMETER_BYTES, "version"),
        (b"\x03" + CID + KEY[:-1], "address"),
        (b"\x03" + CID + KEY + V4_BYTES, "welcome"),
        (b"\x03" + CID + KEY + V4_BYTES + b"\x00" + PARAMETER_BYTES[:-1], "welcome"),
        (b"\x03" + CID + KEY + V4_BYTES + b"\x00" + PARAMETER_BYTES + b"\x00", "welcome"),
        (b"\x03" + CID + KEY + V4_BYTES + b"\x01" + PARAMETER_BYTES, "address"),
        (b"\x03" + CID + KEY + V4_BYTES + b"\x00" + PARAMETER_BYTES, None),
    ],
)
def test_a_welcome_says_all_of_it_and_nothing_more(payload: bytes, reason: str | None) -> None:
    client = greet()
    _, noise = open_hello(unseal_hello(client.datagram, SLOT), SLOT)
    message = noise.write_welcome(payload, b"r" * 32)
    datagram = sealed(len(message).to_bytes(2, "big") + message, SLOT.keys.welcome)
    if reason is None:
        read(client, datagram)
        return
    with pytest.raises(BadDatagram) as refused:
        read(client, datagram)
    assert refused.value.reason == reason


def test_a_hello_of_another_credential_does_not_open() -> None:
    with pytest.raises(BadDatagram, match="tag"):
        unseal_hello(greet().datagram, new_slot(seed=9))


def test_a_welcome_to_another_hello_does_not_open() -> None:
    first, second = greet(seed=4), greet(seed=5)
    with pytest.raises(BadDatagram, match="noise"):
        read(second, answer(first))
    assert read(second, answer(second)) == WELCOME


# ------------------------------------------------------------------------------------------------------------- key log


def test_the_log_of_either_end_opens_both_datagrams() -> None:
    clients: list[str] = []
    servers: list[str] = []
    client = greet(keylog=clients)
    hello, noise = open_hello(unseal_hello(client.datagram, SLOT, keylog=servers.append), SLOT, keylog=servers.append)
    welcome = seal_welcome(
        SLOT.keys,
        noise,
        hello,
        HeaderCipher(hello.header_key),
        WELCOME,
        ephemeral=b"e" * 32,
        random=random.Random(3).randbytes,
        size=300,
        keylog=servers.append,
    )
    open_welcome(welcome, SLOT.keys, client.noise, client.hello, keylog=clients.append)
    assert sorted(clients) == sorted(servers)
    ring = parse("\n".join(clients))
    assert list(ring.hello) == [SLOT.credential.slot_id]
    assert list(ring.welcome) == [HELLO.cid]
    assert len(ring.noise) == 2
