"""Nobody without a live credential gets a byte from the real server, and nothing they send stays in its memory."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from clawchat.crypto.credential import Credential
from clawchat.crypto.noise import Initiator
from clawchat.net.driver import Node
from clawchat.values.address import Address
from clawchat.values.limits import BASE_DATAGRAM, MAX_HELLO, MIN_HELLO
from clawchat.wire.handshake import EPHEMERAL_BYTES, Hello, seal_hello
from tests.darkness.junk import Junk, Overheard, batches, flips
from tests.darkness.scanners import PAYLOADS
from tests.darkness.strangers import Heard, Queue, Strangers
from tests.netns.ends import Keep
from tests.server.running import Client, RunningServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="what a server read and holds is told by /proc"),
]

DATAGRAMS = 1_000_000
WARM_UP = 100_000
STRANGERS = 400
GENERATIONS = 3
"""So that the server meets more senders than it remembers."""

MAX_GROWTH = 2 << 20
"""Bytes of memory: what an allocator may keep; a leak of three bytes a datagram is more."""


def hello(credential: Credential, size: int) -> bytes:
    """Make a HELLO as a client would."""
    keys = credential.keys()
    initiator = Initiator(credential.prologue(), keys.psk, credential.server_key, os.urandom(EPHEMERAL_BYTES))
    return seal_hello(
        credential, keys, initiator, Hello(os.urandom(8), os.urandom(32), ()), random=os.urandom, size=size
    )
