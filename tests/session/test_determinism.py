"""A run is a function of its seed: the same seed sends the same bytes at the same moments."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.link import Link
from tests.support.pair import Pair

STORM = Link(delay=0.04, jitter=0.05, loss=0.1, duplicate=0.05, grain=0.001)


def eventful_run(seed: int) -> Pair:
    pair = Pair(seed=seed, link=STORM).handshake()
    down = pair.server.open(bytes(120_000), fin=True)
    streams = [pair.client.open(bytes(20_000 + n), fin=True) for n in range(3)]
    pair.client.session.send_datagram(b"hello")
    pair.client.session.ping(1)
    pair.drive(1)
    pair.client.session.reset(streams[0])
    pair.drive(until=lambda: pair.client.ended(down) and pair.server.ended(streams[2]))
    pair.server.session.close(300, "done", now=pair.now)
    return pair.drive()


def digest(pair: Pair) -> str:
    return hashlib.sha256(repr((pair.datagrams, pair.trace)).encode()).hexdigest()


def test_the_same_seed_gives_the_same_datagrams_and_events() -> None:
    first, second = eventful_run(1), eventful_run(1)
    assert first.datagrams == second.datagrams
    assert first.trace == second.trace


def test_another_seed_gives_other_datagrams() -> None:
    first, second = eventful_run(1), eventful_run(2)
    assert not {sent.data for sent in first.datagrams} & {sent.data for sent in second.datagrams}


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_gives_the_same(hash_seed: str) -> None:
    """Nothing hangs on the order of a set or on an address in memory."""
    program = "from tests.session.test_determinism import *; print(digest(eventful_run(1)))"
    env = os.environ | {"PYTHONHASHSEED": hash_seed}
    root = Path(__file__).parents[2]
    said = subprocess.run([sys.executable, "-c", program], env=env, cwd=root, check=True, capture_output=True)
    assert said.stdout.decode().strip() == digest(eventful_run(1))
