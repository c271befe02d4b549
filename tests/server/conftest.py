from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from clawchat.crypto.bootstrap import KeyFile
from clawchat.crypto.credential import Slot
from server.home import Home
from server.initialise import initialise


class FakeArmory:
    """An endpoint's armed slots, without the endpoint."""

    def __init__(self) -> None:
        self.slots: dict[bytes, Slot] = {}
        self.deadlines: dict[bytes, float] = {}

    def arm(self, slot: Slot, *, deadline: float) -> None:
        assert slot.credential.slot_id not in self.slots
        self.slots[slot.credential.slot_id] = slot
        self.deadlines[slot.credential.slot_id] = deadline

    def disarm(self, slot_id: bytes) -> None:
        slot = self.slots.pop(slot_id, None)
        if slot is not None:
            slot.wipe()


@pytest.fixture
def armory() -> FakeArmory:
    return FakeArmory()


@pytest.fixture
def key() -> KeyFile:
    return KeyFile(secrets.token_bytes(32))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A server's files, as ``init`` makes them."""
    return initialise(tmp_path / "server", passphrase=False, passphrase_file=None)
