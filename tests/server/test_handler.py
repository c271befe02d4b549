from __future__ import annotations

import asyncio
import json
import logging
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from clawchat.services.chat import Delivered, Message, Say, ToClient
from clawchat.services.chat_hub import Hub
from server import handler as handler_module
from server.chat_service import ChatService
from server.handler import Handler
from server.logs import Log

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the selector loop of Windows has no subprocesses")

ECHO = """
    for line in sys.stdin:
        said = json.loads(line)
        print(json.dumps({"text": "echo " + said["text"]}), flush=True)
"""


class Person:
    """Somebody who talks with the handler."""

    def __init__(self, chat: ChatService, name: str) -> None:
        self.chat = chat
        self.rung = asyncio.Event()
        self.key = chat.attach(name, self.rung.set)
        self.heard: list[ToClient] = []
        self.said = 0

    def says(self, text: str, **where: str) -> None:
        self.said += 1
        self.chat.say(self.key, Say(str(self.said), text, **where))

    async def hears(self, wanted: Callable[[ToClient], bool]) -> ToClient:
        """Wait until something of a kind is heard."""
        while True:
            for told in self.heard:
                if wanted(told):
                    self.heard.remove(told)
                    return told
            self.heard += self.chat.take(self.key)
            if not any(map(wanted, self.heard)):
                self.rung.clear()
                await self.rung.wait()

    async def hears_text(self) -> Message:
        told = await self.hears(lambda each: isinstance(each, Message))
        assert isinstance(told, Message)
        return told


async def until(fact: Callable[[], bool]) -> None:
    while not fact():  # noqa: ASYNC110 - it looks from outside, as a person would
        await asyncio.sleep(0.005)


Scene: TypeAlias = Callable[[ChatService, Handler], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Scene], None]:
    """Let a scene play with a handler of the given source."""
    monkeypatch.setattr(handler_module, "FIRST_PAUSE", 0.01)

    def run(source: str, scene: Scene) -> None:
        program = tmp_path / "bot.py"
        program.write_text("import json, sys, time\n" + textwrap.dedent(source), encoding="utf-8")

        async def main() -> None:
            chat = ChatService(
                Hub(server="home", rooms=("lobby", "garden")), wake=lambda: None, keep=lambda: None, log=Log()
            )
            handler = Handler([sys.executable, str(program)], "bot", ("lobby", "garden"), chat, Log())
            running = asyncio.create_task(handler.run())
            await asyncio.sleep(0)
            try:
                await asyncio.wait_for(scene(chat, handler), 20)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            assert not handler.running

        asyncio.run(main())

    return run


def test_an_answer_goes_to_the_room_it_answers(play: Callable[[str, Scene], None]) -> None:
    async def scene(chat: ChatService, _: Handler) -> None:
        ann = Person(chat, "ann")
        ann.says("hi")
        told = await ann.hears_text()
        assert (told.sender, told.text, told.room) == ("bot", "echo hi", "lobby")

    play(ECHO, scene)


def test_a_private_answer_stays_private(play: Callable[[str, Scene], None]) -> None:
    async def scene(chat: ChatService, _: Handler) -> None:
        ann, bob = Person(chat, "ann"), Person(chat, "bob")
        ann.says("psst", to="bot")
        told = await ann.hears_text()
        assert (told.text, told.to) == ("echo psst", "ann")
        assert not any(isinstance(each, Message) for each in chat.take(bob.key))

    play(ECHO, scene)


def test_a_receipt_says_that_the_process_has_it(play: Callable[[str, Scene], None]) -> None:
    async def scene(chat: ChatService, _: Handler) -> None:
        ann = Person(chat, "ann")
        ann.says("hi")
        told = await ann.hears(lambda each: isinstance(each, Delivered))
        assert isinstance(told, Delivered)
        assert told.name == "bot"

    play(ECHO, scene)


def test_answers_may_name_their_message_and_come_in_any_order(play: Callable[[str, Scene], None]) -> None:
    async def scene(chat: ChatService, _: Handler) -> None:
        ann = Person(chat, "ann")
        ann.says("first", to="bot")
        ann.says("second")
        assert [((told := await ann.hears_text()).text, told.room) for _ in range(2)] == [
            ("second", "lobby"),
            ("first", None),
        ]

    play(
        """
        both = [json.loads(sys.stdin.readline()) for _ in range(2)]
        for said in reversed(both):
            print(json.dumps({"reply_to": said["number"], "text": said["text"]}), flush=True)
        sys.stdin.read()
        """,
        scene,
    )


def test_a_process_may_stay_silent_and_speak_unasked(play: Callable[[str, Scene], None]) -> None:
    async def scene(chat: ChatService, _: Handler) -> None:
        ann = Person(chat, "ann")
        ann.says("nothing to say to this")
        ann.says("to this")
        assert [(await ann.hears_text()).text for _ in range(2)] == ["answer to this", "by the way"]

    play(
        """
        sys.stdin.readline()
        print("{}")
        said = json.loads(sys.stdin.readline())
        print(json.dumps({"text": "answer " + said["text"]}))
        print(json.dumps({"to": "ann", "text": "by the way"}), flush=True)
        sys.stdin.read()
        """,
        scene,
    )


def test_a_process_that_ends_is_started_again(play: Callable[[str, Scene], None]) -> None:
    async def scene(chat: ChatService, handler: Handler) -> None:
        ann = Person(chat, "ann")
        for number in range(3):
            ann.says(f"{number}")
            assert (await ann.hears_text()).text == f"echo {number}"
        assert handler.starts >= 3

    play("said = json.loads(sys.stdin.readline())\nprint(json.dumps({'text': 'echo ' + said['text']}))", scene)


def test_its_death_and_its_words_are_logged(
    play: Callable[[str, Scene], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def fields(event: str) -> list[dict[str, Any]]:
        return [record.__dict__["fields"] for record in caplog.records if record.msg == event]

    async def scene(_: ChatService, handler: Handler) -> None:
        await until(lambda: handler.starts >= 2)

    play("print('no idea', file=sys.stderr)\nprint('not json')\nprint('{\"text\": \"x\"}')\nsys.exit(3)", scene)
    assert fields("handler-ended")[0]["code"] == "CC-HANDLER"
    assert "exit code 3" in fields("handler-ended")[0]["cause"]
    assert fields("handler-stderr")[0]["line"] == "no idea"
    assert [each["cause"] for each in fields("handler-line-refused")][:2] == [
        "not a JSON object",
        "there is no such message to answer",
    ]


def test_the_pause_grows(play: Callable[[str, Scene], None], caplog: pytest.LogCaptureFixture) -> None:
    async def scene(_: ChatService, handler: Handler) -> None:
        await until(lambda: handler.starts >= 4)

    play("sys.exit(1)", scene)
    pauses = [record.__dict__["fields"]["again_in"] for record in caplog.records if record.msg == "handler-ended"]
    assert pauses[:3] == [0.01, 0.02, 0.04]


def test_a_program_that_does_not_exist_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        chat = ChatService(Hub(server="home"), wake=lambda: None, keep=lambda: None, log=Log())
        running = asyncio.create_task(Handler(["./no-such-program"], "bot", ("lobby",), chat, Log()).run())
        await until(lambda: bool(caplog.records))
        running.cancel()

    asyncio.run(main())
    assert "can't be started" in caplog.records[0].__dict__["fields"]["cause"]


@pytest.mark.parametrize(
    "line",
    [
        {"text": 5},
        {"room": "two words", "text": "x"},
        {"to": 7, "text": "x"},
        {"reply_to": "1", "text": "x"},
        {"reply_to": [1], "text": "x"},
        {"colour": "red"},
        {"text": "y" * 70_000},
    ],
)
def test_a_line_that_makes_no_sense_is_skipped(play: Callable[[str, Scene], None], line: dict[str, object]) -> None:
    async def scene(chat: ChatService, _: Handler) -> None:
        ann = Person(chat, "ann")
        ann.says("hi")
        assert (await ann.hears_text()).text == "still here"

    play(
        f"""
        said = json.loads(sys.stdin.readline())
        print({json.dumps(line)!r})
        print(json.dumps({{"room": "lobby", "text": "still here"}}), flush=True)
        sys.stdin.read()
        """,
        scene,
    )


def test_what_it_says_is_cleaned(play: Callable[[str, Scene], None]) -> None:
    async def scene(chat: ChatService, _: Handler) -> None:
        ann = Person(chat, "ann")
        ann.says("hi")
        assert (await ann.hears_text()).text == "\ufffd[2Jred"

    play("sys.stdin.readline()\nprint(json.dumps({'text': '\\x1b[2Jred'}), flush=True)\nsys.stdin.read()", scene)


def test_a_process_that_will_not_end_is_killed(play: Callable[[str, Scene], None]) -> None:
    async def scene(chat: ChatService, _: Handler) -> None:
        ann = Person(chat, "ann")
        ann.says("hi")
        await ann.hears_text()

    play(
        """
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.stdin.readline()
        print('{"text": "no"}', flush=True)
        while True:
            time.sleep(1)
        """,
        scene,
    )


def test_what_a_process_did_not_answer_goes_to_the_next_one_once(play: Callable[[str, Scene], None]) -> None:
    async def scene(chat: ChatService, handler: Handler) -> None:
        ann = Person(chat, "ann")
        ann.says("poison")
        await until(lambda: handler.starts >= 3)
        ann.says("hi")
        assert (await ann.hears_text()).text == "echo hi"

    play(
        """
        for line in sys.stdin:
            said = json.loads(line)
            if said["text"] == "poison":
                sys.exit(1)
            print(json.dumps({"text": "echo " + said["text"]}), flush=True)
        """,
        scene,
    )
