from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from clawchat.crypto.bootstrap import Bootstrap, KeyFile, Passphrase
from clawchat.crypto.credential import Credential
from clawchat.crypto.secfile import open_file
from clawchat.net import clock, files
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError, SecurityFileError
from server.home import Home
from server.invitations import Invitations, Maker
from server.logs import Log
from server.settings import Security, Settings
from tests.server.conftest import FakeArmory

Step: TypeAlias = Callable[[Invitations], Awaitable[None]]
MAKER = Maker("home", bytearray(range(32)), (), lambda: [Address("203.0.113.1", 5000)])


def play(home: Home, armory: FakeArmory, key: Bootstrap, step: Step, **security: object) -> None:
    """Let a scene with invitations play while they are kept."""

    async def scene() -> None:
        settings = Settings(security=replace(Security(), **security))  # type: ignore[arg-type] # keys of the test
        invitations = Invitations(home, settings, key, MAKER, armory, Log())
        keeper = asyncio.create_task(invitations.keep())
        try:
            await asyncio.wait_for(step(invitations), 20)
        finally:
            keeper.cancel()

    asyncio.run(scene())


def read(path: Path, key: Bootstrap) -> Credential:
    return open_file(files.read_private(path, 1 << 20), key)


async def until(fact: Callable[[], bool]) -> None:
    while not fact():  # noqa: ASYNC110 - it looks from outside, as a person would
        await asyncio.sleep(0.002)


def test_a_file_holds_what_is_armed(home: Home, armory: FakeArmory, key: KeyFile) -> None:
    async def step(invitations: Invitations) -> None:
        path = await invitations.open("ann")
        credential = read(path, key)
        assert path == home.security / "ann.sec"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert credential.slot_id in armory.slots
        assert credential.candidates == (Address("203.0.113.1", 5000),)
        assert credential.valid_until - credential.timestamp == 660
        assert abs(armory.deadlines[credential.slot_id] - time.monotonic() - 660) < 5

    play(home, armory, key, step)


def test_a_passphrase_seals_as_well(home: Home, armory: FakeArmory) -> None:
    words = Passphrase("four words for nobody")

    async def step(invitations: Invitations) -> None:
        assert read(await invitations.open("ann"), words).name == "home"

    play(home, armory, words, step)


def test_a_used_invitation_leaves_nothing(home: Home, armory: FakeArmory, key: KeyFile) -> None:
    async def step(invitations: Invitations) -> None:
        path = await invitations.open("ann")
        first = read(path, key)
        await invitations.open("ann")
        kept = list(armory.slots.values())
        assert invitations.burn(first.slot_id) == "ann"
        assert armory.slots == {}
        assert all(not any(slot.credential.secret) for slot in kept)
        assert not path.exists()
        assert invitations.burn(first.slot_id) is None

    play(home, armory, key, step)


def test_an_unused_file_is_replaced_and_the_old_one_stays_armed(home: Home, armory: FakeArmory, key: KeyFile) -> None:
    async def step(invitations: Invitations) -> None:
        path = await invitations.open("ann")
        first = read(path, key).slot_id
        await until(lambda: read(path, key).slot_id != first)
        assert first in armory.slots
        await until(lambda: first not in armory.slots)
        assert read(path, key).slot_id in armory.slots

    play(home, armory, key, step, auto_regenerate_minutes=0.3 / 60, file_validity_minutes=0.6 / 60)


@pytest.mark.parametrize("always", [False, True])
def test_after_use_a_default_file_is_made_only_when_it_is_always_to_be_there(
    home: Home, armory: FakeArmory, key: KeyFile, *, always: bool
) -> None:
    async def step(invitations: Invitations) -> None:
        path = await invitations.open("default")
        invitations.burn(read(path, key).slot_id)
        assert not path.exists()
        if always:
            await until(path.exists)
        else:
            assert invitations.views() == []

    play(home, armory, key, step, always_available=always)


@pytest.mark.parametrize("name", ["", "../x", "a b", ".hidden", "x" * 65, "-x", "a/b", "a\0b"])
def test_a_name_that_is_no_file_name_is_refused(home: Home, armory: FakeArmory, key: KeyFile, name: str) -> None:
    async def step(invitations: Invitations) -> None:
        with pytest.raises(PersonalError) as caught:
            await invitations.open(name)
        assert caught.value.code == "CC-NAME"

    play(home, armory, key, step)


def test_a_withdrawn_invitation_is_gone(home: Home, armory: FakeArmory, key: KeyFile) -> None:
    async def step(invitations: Invitations) -> None:
        path = await invitations.open("ann")
        invitations.withdraw("ann")
        assert (path.exists(), armory.slots) == (False, {})
        with pytest.raises(PersonalError) as caught:
            invitations.withdraw("ann")
        assert caught.value.code == "CC-NAME"

    play(home, armory, key, step)


def test_the_end_removes_all_files(home: Home, armory: FakeArmory, key: KeyFile) -> None:
    async def step(invitations: Invitations) -> None:
        for name in ("ann", "bob"):
            await invitations.open(name)
        invitations.close()
        assert list(home.security.glob("*.sec")) == []
        assert armory.slots == {}

    play(home, armory, key, step)


def test_a_file_that_cannot_be_written_arms_nothing(home: Home, armory: FakeArmory, key: KeyFile) -> None:
    async def step(invitations: Invitations) -> None:
        (home.security / "ann.sec").mkdir()
        with pytest.raises(SecurityFileError):
            await invitations.open("ann")
        assert armory.slots == {}
        assert invitations.views() == []

    play(home, armory, key, step)


def test_a_renewal_that_fails_keeps_the_old_file(
    home: Home, armory: FakeArmory, key: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()

    def full(_path: Path, _data: bytes) -> None:
        failed.set()
        raise SecurityFileError("CC-DISK-FULL", "there is no space left")

    async def step(invitations: Invitations) -> None:
        path = await invitations.open("ann")
        monkeypatch.setattr(files, "write_private", full)
        await failed.wait()
        assert read(path, key).slot_id in armory.slots

    play(home, armory, key, step, auto_regenerate_minutes=0.1 / 60)


def test_another_bootstrap_key_seals_all_files_anew(home: Home, armory: FakeArmory, key: KeyFile) -> None:
    new = KeyFile(bytes(32))

    async def step(invitations: Invitations) -> None:
        path = await invitations.open("ann")
        await invitations.renew_all(new)
        assert read(path, new).slot_id in armory.slots

    play(home, armory, key, step)


def test_a_file_is_over_when_its_time_passed_while_the_machine_slept(
    home: Home, armory: FakeArmory, key: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = [0.0]
    awake = clock.sleepless
    monkeypatch.setattr("server.invitations.sleepless", lambda: awake() + slept[0])
    monkeypatch.setattr("server.invitations.LOOK", 0.01)

    async def step(invitations: Invitations) -> None:
        before = read(await invitations.open("ann"), key)
        slept[0] = 8 * 3600.0
        await until(lambda: before.slot_id not in armory.slots and bool(armory.slots))
        assert read(home.security_file("ann"), key).slot_id in armory.slots

    play(home, armory, key, step)
