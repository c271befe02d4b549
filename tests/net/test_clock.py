from __future__ import annotations

import asyncio
import time

import pytest

from clawchat.net.clock import sleepless
from clawchat.net.driver import Node
from tests.net.fakes import FakeCore


def test_it_goes_on() -> None:
    before = sleepless()
    assert before <= sleepless()


def test_an_endpoint_hears_of_a_clock_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        core = FakeCore()
        node = Node(core, on_event=lambda _: None, watch=False, beat=0.01)
        try:
            assert abs(core.unix_offset + time.monotonic() - time.time()) < 60
            before = core.unix_offset
            now = time.time
            monkeypatch.setattr("time.time", lambda: now() + 8 * 3600)
            async with asyncio.timeout(10):
                while core.unix_offset < before + 7 * 3600:  # noqa: ASYNC110 - it looks from outside
                    await asyncio.sleep(0.01)
        finally:
            monkeypatch.undo()
            await node.close(limit=0.1)

    asyncio.run(scene())
