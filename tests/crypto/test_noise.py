"""The handshake against the published vectors, against an independent implementation, and against forgers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from noise.connection import Keypair, NoiseConnection

from clawchat.crypto.keylog import parse
from clawchat.crypto.noise import KEY_BYTES, NAME, OVERHEAD, Initiator, Responder, Secrets, SymmetricState, exchange
from clawchat.values.errors import BadDatagram, UsageError

# The vectors come beside the checkout, not in it.
VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "noise-cacophony.json"
MISSING = f"the published Noise vectors aren't at ../{VECTORS.relative_to(VECTORS.parents[2]).as_posix()}"

PROLOGUE = b"clawchat/3 test"
PSK = bytes(range(32))
SERVER = X25519PrivateKey.from_private_bytes(b"s" * 32)
SERVER_KEY = SERVER.public_key().public_bytes_raw()

# RFC 7748 section 6.1: points whose shared secret is zero whatever the private key.
SMALL_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]

KEYS = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)


def vectors() -> list[dict[str, Any]]:
    if not VECTORS.is_file():
        return []
    loaded: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]
    return loaded


def vector_named(name: str) -> dict[str, Any]:
    found = [vector for vector in vectors() if vector["protocol_name"] == name]
    if not found:
        pytest.skip(MISSING)
    return found[0]


def initiator(ephemeral: bytes = b"i" * 32, psk: bytes = PSK, keylog: Callable[[str], None] | None = None) -> Initiator:
    return Initiator(PROLOGUE, psk, SERVER_KEY, ephemeral, keylog)


def responder(psk: bytes = PSK) -> Responder:
    return Responder(PROLOGUE, psk, SERVER)


def complete() -> tuple[Secrets, Secrets]:
    client, server = initiator(), responder()
    server.read_hello(client.write_hello(b""))
    client.read_welcome(server.write_welcome(b"", b"r" * 32))
    return client.finish(), server.finish()


# ------------------------------------------------------------------------------------------- published vectors


def test_the_published_vector_of_our_pattern() -> None:
    vector = vector_named(NAME.decode())
    raw = {key: bytes.fromhex(value) for key, value in vector.items() if isinstance(value, str) and "_" in key[:5]}
    psk = bytes.fromhex(vector["init_psks"][0])
    client = Initiator(raw["init_prologue"], psk, raw["init_remote_static"], raw["init_ephemeral"])
    server = Responder(raw["resp_prologue"], psk, X25519PrivateKey.from_private_bytes(raw["resp_static"]))
    (hello, hello_sealed), (welcome, welcome_sealed), *transport = [
        (bytes.fromhex(message["payload"]), bytes.fromhex(message["ciphertext"])) for message in vector["messages"]
    ]

    assert client.write_hello(hello) == hello_sealed
    assert server.read_hello(hello_sealed) == hello
    assert server.write_welcome(welcome, raw["resp_ephemeral"]) == welcome_sealed
    assert client.read_welcome(welcome_sealed) == welcome

    ours, theirs = client.finish(), server.finish()
    assert ours.handshake_hash == theirs.handshake_hash == bytes.fromhex(vector["handshake_hash"])
    assert (ours.send, ours.receive, ours.root) == (theirs.receive, theirs.send, theirs.root)
    for number, (payload, sealed) in enumerate(transport):
        key = (ours.send, theirs.send)[number % 2]
        assert AESGCM(key).encrypt((number // 2).to_bytes(12, "big"), payload, b"") == sealed


class Pattern(NamedTuple):
    """A Noise pattern: what each side knows in advance, and the tokens of each message."""

    before: tuple[str, ...]
    messages: tuple[str, ...]


PATTERNS = {
    "NK": Pattern(("resp_static",), ("e es", "e ee")),
    "NNpsk0": Pattern((), ("psk e", "e ee")),
    "NKpsk0": Pattern(("resp_static",), ("psk e es", "e ee")),
    "KKpsk0": Pattern(("init_static", "resp_static"), ("psk e es ss", "e ee se")),
}


def test_the_vectors_are_all_of_patterns_known_here() -> None:
    assert {vector["protocol_name"].split("_")[1] for vector in vectors()} <= set(PATTERNS)


@pytest.mark.skipif(not VECTORS.is_file(), reason=MISSING)
@pytest.mark.parametrize("name", PATTERNS)
def test_the_symmetric_state_carries_other_patterns_too(name: str) -> None:
    """Both sides make the same steps, so one state that knows every private key stands for both."""
    vector = vector_named(f"Noise_{name}_25519_AESGCM_SHA256")
    pattern = PATTERNS[name]
    private = {
        f"{side}_{kind}": X25519PrivateKey.from_private_bytes(bytes.fromhex(vector[f"{side}_{kind}"]))
        for side in ("init", "resp")
        for kind in ("static", "ephemeral")
        if f"{side}_{kind}" in vector
    }
    public = {key: value.public_key().public_bytes_raw() for key, value in private.items()}
    kinds = {"e": "ephemeral", "s": "static"}

    state = SymmetricState.begin(vector["protocol_name"].encode(), bytes.fromhex(vector["init_prologue"]))
    for known in pattern.before:
        state.mix_hash(public[known])
    for number, (tokens, message) in enumerate(zip(pattern.messages, vector["messages"], strict=False)):
        head = b""
        for token in tokens.split():
            if token == "psk":
                state.mix_key_and_hash(bytes.fromhex(vector["init_psks"][0]))
            elif token == "e":
                head = public[("init_ephemeral", "resp_ephemeral")[number]]
                if name.endswith("psk0"):
                    state.mix_ephemeral(head)
                else:
                    state.mix_hash(head)
            else:
                mine, yours = kinds[token[0]], kinds[token[1]]
                state.mix_key(exchange(private[f"init_{mine}"], public[f"resp_{yours}"]))
        reader = state.fork()
        sealed = state.encrypt_and_hash(bytes.fromhex(message["payload"]))
        assert (head + sealed).hex() == message["ciphertext"]
        assert reader.decrypt_and_hash(sealed).hex() == message["payload"]
        assert reader.handshake_hash == state.handshake_hash
    assert state.handshake_hash.hex() == vector["handshake_hash"]


# ------------------------------------------------------------------------------------ the independent implementation

# It warns that ephemeral keys are for itself to make; here they repeat so that a failure can be made again.
fixed_ephemerals = pytest.mark.filterwarnings("ignore:One of ephemeral keypairs")


def oracle(*, initiator: bool, ephemeral: bytes, prologue: bytes, psk: bytes) -> NoiseConnection:
    connection = NoiseConnection.from_name(NAME)
    connection.set_prologue(prologue)
    connection.set_psks(psk)
    connection.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
    if initiator:
        connection.set_as_initiator()
        connection.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, SERVER_KEY)
    else:
        connection.set_as_responder()
        connection.set_keypair_from_private_bytes(Keypair.STATIC, SERVER.private_bytes_raw())
    connection.start_handshake()
    return connection


@fixed_ephemerals
@given(hello=st.binary(max_size=400), welcome=st.binary(max_size=400), psk=KEYS, prologue=st.binary(), keys=st.data())
def test_our_initiator_agrees_with_the_oracle(
    hello: bytes, welcome: bytes, psk: bytes, prologue: bytes, keys: st.DataObject
) -> None:
    client = Initiator(prologue, psk, SERVER_KEY, keys.draw(KEYS))
    server = oracle(initiator=False, ephemeral=keys.draw(KEYS), prologue=prologue, psk=psk)
    assert server.read_message(client.write_hello(hello)) == hello
    assert client.read_welcome(bytes(server.write_message(welcome))) == welcome
    secrets = client.finish()
    assert secrets.handshake_hash == server.get_handshake_hash()
    assert server.decrypt(AESGCM(secrets.send).encrypt(bytes(12), b"to the server", b"")) == b"to the server"
    assert AESGCM(secrets.receive).decrypt(bytes(12), server.encrypt(b"to the client"), b"") == b"to the client"


@fixed_ephemerals
@given(hello=st.binary(max_size=400), welcome=st.binary(max_size=400), psk=KEYS, prologue=st.binary(), keys=st.data())
def test_our_responder_agrees_with_the_oracle(
    hello: bytes, welcome: bytes, psk: bytes, prologue: bytes, keys: st.DataObject
) -> None:
    client = oracle(initiator=True, ephemeral=keys.draw(KEYS), prologue=prologue, psk=psk)
    server = Responder(prologue, psk, SERVER)
    assert server.read_hello(bytes(client.write_message(hello))) == hello
    assert client.read_message(server.write_welcome(welcome, keys.draw(KEYS))) == welcome
    secrets = server.finish()
    assert secrets.handshake_hash == client.get_handshake_hash()
    assert client.decrypt(AESGCM(secrets.send).encrypt(bytes(12), b"to the client", b"")) == b"to the client"
    assert AESGCM(secrets.receive).decrypt(bytes(12), client.encrypt(b"to the server"), b"") == b"to the server"


# ---------------------------------------------------------------------------------------------------------- forgers


def test_both_ends_share_secrets_that_differ_from_each_other() -> None:
    client, server = complete()
    assert (client.send, client.receive, client.root) == (server.receive, server.send, server.root)
    assert len({bytes(key) for key in client}) == 4


@given(position=st.integers(0, OVERHEAD + 4), bit=st.integers(0, 7))
def test_a_changed_hello_is_refused_and_changes_nothing(position: int, bit: int) -> None:
    server = responder()
    message = initiator().write_hello(b"hello")
    forged = bytearray(message)
    forged[position] ^= 1 << bit
    # The highest bit of an X25519 key is ignored by the curve; the transcript still sees it.
    with pytest.raises(BadDatagram):
        server.read_hello(bytes(forged))
    assert server.read_hello(message) == b"hello"


@given(position=st.integers(0, OVERHEAD + 6), bit=st.integers(0, 7))
def test_a_changed_welcome_is_refused_and_the_true_one_still_opens(position: int, bit: int) -> None:
    client, server = initiator(), responder()
    server.read_hello(client.write_hello(b""))
    message = server.write_welcome(b"welcome", b"r" * 32)
    forged = bytearray(message)
    forged[position] ^= 1 << bit
    with pytest.raises(BadDatagram):
        client.read_welcome(bytes(forged))
    assert client.read_welcome(message) == b"welcome"
    assert client.finish().root == server.finish().root


@given(message=st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(message: bytes) -> None:
    client = initiator()
    client.write_hello(b"")
    with pytest.raises(BadDatagram):
        client.read_welcome(message)
    with pytest.raises(BadDatagram):
        responder().read_hello(message)


@pytest.mark.parametrize("point", SMALL_ORDER, ids=lambda point: point.hex()[:8])
def test_points_of_small_order_are_refused(point: bytes) -> None:
    client = initiator()
    client.write_hello(b"")
    with pytest.raises(BadDatagram):
        responder().read_hello(point + bytes(16))
    with pytest.raises(BadDatagram):
        client.read_welcome(point + bytes(16))
    with pytest.raises(UsageError):
        Initiator(PROLOGUE, PSK, point, b"i" * 32).write_hello(b"")


def test_another_shared_key_is_refused() -> None:
    with pytest.raises(BadDatagram):
        responder(psk=b"x" * 32).read_hello(initiator().write_hello(b""))


def test_another_prologue_is_refused() -> None:
    with pytest.raises(BadDatagram):
        Responder(b"other", PSK, SERVER).read_hello(initiator().write_hello(b""))


def test_the_holder_of_the_shared_key_alone_cannot_pose_as_the_server() -> None:
    client = initiator()
    thief = Responder(PROLOGUE, PSK, X25519PrivateKey.from_private_bytes(b"t" * 32))
    with pytest.raises(BadDatagram):
        thief.read_hello(client.write_hello(b""))


def test_an_incomplete_handshake_yields_no_secrets() -> None:
    client, server = initiator(), responder()
    server.read_hello(client.write_hello(b""))
    with pytest.raises(UsageError):
        client.finish()
    with pytest.raises(UsageError):
        server.finish()


def test_the_key_log_opens_both_payloads() -> None:
    lines: list[str] = []
    client, server = initiator(keylog=lines.append), responder()
    hello = client.write_hello(b"hello")
    server.read_hello(hello)
    welcome = server.write_welcome(b"welcome", b"r" * 32)
    client.read_welcome(welcome)
    ring = parse("\n".join(lines))
    for message, payload in ((hello, b"hello"), (welcome, b"welcome")):
        keys = ring.noise[message[:KEY_BYTES]]
        assert AESGCM(keys.key).decrypt(bytes(12), message[KEY_BYTES:], keys.transcript) == payload


def test_a_forged_welcome_is_not_logged() -> None:
    lines: list[str] = []
    client, server = initiator(keylog=lines.append), responder()
    server.read_hello(client.write_hello(b""))
    forged = server.write_welcome(b"", b"r" * 32)[:-1] + b"?"
    with pytest.raises(BadDatagram):
        client.read_welcome(forged)
    assert [line.split()[:2] for line in lines] == [["NOISE", "hello"]]
