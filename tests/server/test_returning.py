from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from clawchat.crypto.bootstrap import Bootstrap, KeyFile, Passphrase
from clawchat.crypto.credential import Credential
from clawchat.services.handover import HandoverReader, write_handover
from clawchat.services.preface import PrefaceReader
from clawchat.values.address import Address
from clawchat.values.errors import ProtocolViolation, SecurityFileError
from server.home import Home
from server.invitations import Maker
from server.logs import Log
from server.returning import Returning
from tests.server.conftest import FakeArmory

HOURS = 3600.0
MAKER = Maker("home", bytearray(range(32)), (), lambda: [Address("203.0.113.1", 5000)])


@pytest.fixture
def returning(home: Home, key: KeyFile, armory: FakeArmory) -> Returning:
    return Returning(home, 24 * HOURS, key, armory, Log())


def read_handover(data: bytes) -> Credential:
    reader = HandoverReader()
    reader.feed(data)
    return reader.finish()


def next_run(home: Home, key: Bootstrap) -> tuple[Returning, FakeArmory]:
    armory = FakeArmory()
    returning = Returning(home, 24 * HOURS, key, armory, Log())
    returning.load()
    return returning, armory


def test_a_promise_is_armed_and_survives_a_restart(
    returning: Returning, armory: FakeArmory, home: Home, key: KeyFile
) -> None:
    slot = asyncio.run(returning.promise(1, "ann", MAKER))
    assert list(armory.slots) == [slot.credential.slot_id]
    _, later = next_run(home, key)
    assert list(later.slots) == [slot.credential.slot_id]
    assert later.slots[slot.credential.slot_id].credential == slot.credential


def test_the_first_run_has_nobody_to_expect(returning: Returning) -> None:
    assert returning.load() == []


def test_a_promise_is_good_until_its_client_holds_the_next(returning: Returning, armory: FakeArmory) -> None:
    async def come_back() -> bytes:
        slot = await returning.promise(1, "ann", MAKER)
        assert returning.use(slot.credential.slot_id, 2) == "ann"
        following = await returning.promise(2, "ann", MAKER)
        # Its client may be killed before it has the next one, and come again with this one.
        assert returning.use(slot.credential.slot_id, 3) == "ann"
        assert list(armory.slots) == [slot.credential.slot_id]
        following = await returning.promise(3, "ann", MAKER)
        await returning.settle(3, following.credential.slot_id)
        assert returning.use(slot.credential.slot_id, 4) is None
        return following.credential.slot_id

    following = asyncio.run(come_back())
    assert list(armory.slots) == [following]


def test_a_use_burns_the_clients_older_promises_too(returning: Returning, armory: FakeArmory) -> None:
    async def promises() -> list[bytes]:
        made = [await returning.promise(session, "x", MAKER) for session in (1, 2, 1)]
        return [slot.credential.slot_id for slot in made]

    first, other, second = asyncio.run(promises())
    returning.ended(1)
    returning.use(second, 3)
    assert list(armory.slots) == [other, second]
    assert first not in armory.slots


def test_a_burnt_promise_does_not_survive_a_restart(returning: Returning, home: Home, key: KeyFile) -> None:
    async def come_back() -> bytes:
        slot = await returning.promise(1, "ann", MAKER)
        returning.use(slot.credential.slot_id, 2)
        following = await returning.promise(2, "ann", MAKER)
        await returning.settle(2, following.credential.slot_id)
        return following.credential.slot_id

    following = asyncio.run(come_back())
    assert list(next_run(home, key)[1].slots) == [following]


def test_after_the_restart_it_is_still_good_once(returning: Returning, home: Home, key: KeyFile) -> None:
    slot = asyncio.run(returning.promise(1, "ann", MAKER))
    later, _ = next_run(home, key)
    assert later.use(slot.credential.slot_id, 1) == "returning"
    assert len(later) == 1


def test_what_is_over_is_forgotten(
    returning: Returning, home: Home, key: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = asyncio.run(returning.promise(1, "ann", MAKER))
    monkeypatch.setattr("time.time", lambda: float(slot.credential.valid_until))
    assert len(returning) == 0
    assert next_run(home, key)[1].slots == {}


def test_a_clock_set_back_gives_nobody_more_time(
    returning: Returning, home: Home, key: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = asyncio.run(returning.promise(1, "ann", MAKER))
    monkeypatch.setattr("time.time", lambda: slot.credential.timestamp - 1e6)
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)
    assert next_run(home, key)[1].deadlines[slot.credential.slot_id] == 1000.0 + 24 * HOURS


def test_a_client_that_stays_gets_the_next_in_time(returning: Returning, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    asyncio.run(returning.promise(1, "ann", MAKER))
    clock[0] = 12 * HOURS - 1
    assert returning.due() == []
    clock[0] = 12 * HOURS
    assert returning.due() == [(1, "ann")]
    assert returning.due() == []


def test_a_client_that_left_gets_nothing_more(returning: Returning, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    asyncio.run(returning.promise(1, "ann", MAKER))
    returning.ended(1)
    monkeypatch.setattr("time.monotonic", lambda: 23 * HOURS)
    assert returning.due() == []


def test_the_oldest_promise_makes_room(returning: Returning, armory: FakeArmory) -> None:
    async def many() -> bytes:
        first = await returning.promise(0, "x", MAKER)
        for session in range(1, 65):
            await returning.promise(session, "x", MAKER)
        return first.credential.slot_id

    first = asyncio.run(many())
    assert len(armory.slots) == 64
    assert first not in armory.slots


def test_another_key_file_forgets_the_clients(returning: Returning, home: Home) -> None:
    asyncio.run(returning.promise(1, "ann", MAKER))
    assert next_run(home, KeyFile(bytes(32)))[1].slots == {}


def test_another_passphrase_is_told(home: Home, armory: FakeArmory) -> None:
    asyncio.run(Returning(home, HOURS, Passphrase("the right words"), armory, Log()).save())
    with pytest.raises(SecurityFileError) as caught:
        next_run(home, Passphrase("the wrong words"))
    assert caught.value.code == "CC-PASSPHRASE"


def test_another_bootstrap_key_takes_over(returning: Returning, home: Home) -> None:
    new = KeyFile(bytes(32))

    async def change() -> None:
        await returning.promise(1, "ann", MAKER)
        await returning.reseal(new)

    asyncio.run(change())
    assert len(next_run(home, new)[1].slots) == 1


def test_a_handover_carries_the_credential(returning: Returning) -> None:
    slot = asyncio.run(returning.promise(1, "ann", MAKER))
    found = PrefaceReader().feed(write_handover(slot.credential))
    assert found is not None
    reader = HandoverReader()
    reader.feed(found[1][:100])
    reader.feed(found[1][100:])
    assert (found[0], reader.finish()) == ("credential", slot.credential)


@pytest.mark.parametrize(
    "break_it", [lambda data: data[:-1], lambda _: b"", lambda data: data + b"x", lambda _: b"x" * 9000]
)
def test_a_broken_handover_is_a_violation(returning: Returning, break_it: Callable[[bytes], bytes]) -> None:
    slot = asyncio.run(returning.promise(1, "ann", MAKER))
    found = PrefaceReader().feed(write_handover(slot.credential))
    assert found is not None
    with pytest.raises(ProtocolViolation):
        read_handover(break_it(found[1]))
