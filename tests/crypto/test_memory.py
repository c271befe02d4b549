"""After keys were taken over or wiped, the memory of this process holds none of them."""

from __future__ import annotations

import gc
import random
import sys
from pathlib import Path

import pytest

from clawchat.crypto.bootstrap import KeyFile
from clawchat.crypto.credential import make_slot
from clawchat.crypto.derive import wipe
from clawchat.crypto.epoch import DirectionKeys
from clawchat.crypto.noise import Initiator, Responder
from clawchat.crypto.secfile import open_file, seal_file

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/mem")

# What is looked for is kept with every bit turned, so that the search doesn't find itself.
_TURN = bytes(byte ^ 0xFF for byte in range(256))


def turned(key: bytearray) -> bytes:
    # Copies of a bytearray are bytearrays: no immutable object ever holds the key itself.
    return bytes(key.translate(_TURN))


def in_memory(wanted: dict[str, bytes]) -> set[str]:
    found = set()
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
            span, rights, *_ = line.split()
            start, stop = (int(end, 16) for end in span.split("-"))
            if not rights.startswith("rw"):
                continue
            try:
                memory.seek(start)
                held = memory.read(stop - start).translate(_TURN)
            except OSError:  # pages of the kernel's own
                continue
            found |= {name for name, key in wanted.items() if key in held}
    return found


def live_and_die() -> dict[str, bytes]:
    """Go through the life of a credential and a session, and return every key they had, turned."""
    chance = random.SystemRandom().randbytes
    slot = make_slot(
        chance, name="home", hello_header_key=chance(32), candidates=[], relays=[], timestamp=0, validity=1
    )
    credential = open_file(seal_file(slot.credential, KeyFile(bytes(32)), chance), KeyFile(bytes(32)))
    keys = credential.keys()
    client = Initiator(credential.prologue(), keys.psk, credential.server_key, chance(32))
    server = Responder(slot.prologue, slot.keys.psk, slot.private)
    server.read_hello(client.write_hello(b""))
    client.read_welcome(server.write_welcome(b"", chance(32)))
    ours, theirs = client.finish(), server.finish()

    seen = {"secret": turned(credential.secret), "header key": turned(credential.hello_header_key)}
    seen |= {f"credential's {name}": turned(key) for name, key in zip(keys._fields, keys, strict=True)}
    seen |= {"send": turned(ours.send), "receive": turned(ours.receive), "root": turned(ours.root)}
    for secrets in (ours, theirs):
        DirectionKeys(secrets.send)
        DirectionKeys(secrets.receive)
        wipe(secrets.root)
    wipe(*keys)
    credential.wipe()
    slot.wipe()
    return seen


def test_no_key_outlives_its_use() -> None:
    seen = live_and_die()
    gc.collect()
    assert len(seen) == 11
    assert in_memory(seen) == set()


def test_the_search_finds_a_key_that_was_left() -> None:
    left = bytearray(random.SystemRandom().randbytes(32))
    assert in_memory({"left": turned(left)}) == {"left"}
