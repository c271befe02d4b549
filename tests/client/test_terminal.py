"""The interactive form, in a terminal: keys go in, and the screen is read back."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from clawchat.crypto.bootstrap import Kdf, Passphrase
from clawchat.crypto.credential import make_slot
from clawchat.crypto.secfile import seal_file
from clawchat.net.files import private_directory, write_private
from clawchat.values.address import Address
from tests.client.conftest import LONG_ENOUGH, Home, Server

pexpect = pytest.importorskip("pexpect")
pyte = pytest.importorskip("pyte")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX")

COLUMNS, ROWS = 100, 40


class Screen:
    """A terminal with the client in it."""

    def __init__(self, home: Home, *arguments: object, term: str = "xterm-256color") -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self._screen)
        self.raw = ""
        program, *rest = home.command(*arguments)
        self.child = pexpect.spawn(
            program, rest, env={**home.environment, "TERM": term}, dimensions=(ROWS, COLUMNS), encoding="utf-8"
        )
        self._screen.write_process_input = self.child.send  # a terminal tells where its cursor is when asked

    def type(self, text: str) -> None:
        self.child.send(text)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def until(self, seen: Callable[[list[str]], bool]) -> list[str]:
        """Look at the screen until something is seen on it."""
        end = time.monotonic() + LONG_ENOUGH
        while not seen(self.lines):
            assert time.monotonic() < end, "\n".join(self.lines)
            if not self._feed():
                assert seen(self.lines), "\n".join(self.lines)
        return self.lines

    def until_line(self, text: str) -> list[str]:
        return self.until(lambda lines: any(text in line for line in lines))

    def end(self) -> int:
        """Wait for the end of the program; return its exit code."""
        while self._feed():
            pass
        self.child.close()
        code = self.child.exitstatus
        assert isinstance(code, int)
        return code

    def _feed(self) -> bool:
        try:
            data = self.child.read_nonblocking(65536, 0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(data)
        return True


@pytest.fixture
def open_screen(home: Home) -> Iterator[Callable[..., Screen]]:
    screens: list[Screen] = []

    def make(*arguments: object, term: str = "xterm-256color") -> Screen:
        screens.append(Screen(home, *arguments, term=term))
        return screens[-1]

    yield make
    for screen in screens:
        screen.child.close(force=True)


def test_a_chat_from_the_safety_words_to_the_farewell(open_screen: Callable[..., Screen], server: Server) -> None:
    screen = open_screen("connect", server.invite(), "--name", "ann")
    screen.until_line("safety words: ")
    lines = screen.until_line("✓✓ 0/0")
    assert any(line.startswith("#lobby>") for line in lines)
    assert "clawchat-server · 127.0.0.1:" in lines[-1]
    assert " ms · #lobby (1)" in lines[-1]
    screen.type("hello\r")
    assert any(line.endswith("ann: hello ✓") for line in screen.until_line("ann: hello ✓"))
    for typed, seen in (
        ("/help\r", "/join ROOM"),
        ("/who\r", "· in #lobby: ann"),
        ("/join kitchen\r", "#kitchen> "),
        ("/rooms\r", "#kitchen (1)"),
        ("/ping\r", "answer 1 in "),
        ("/name anna\r", "ann is now anna"),
        ("/status\r", "anna in #kitchen, 1 sent, 1 delivered"),
        ("/fly\r", "! there is no command /fly"),
        ("/to nobody psst\r", "→ nobody: psst ✗"),
        ("//slash\r", "anna: /slash ✓"),
    ):
        screen.type(typed)
        screen.until_line(seen)
    screen.type("/quit\r")
    assert screen.end() == 0
    assert screen.lines[-1] == "· closed: 3 sent, 2 accepted, 2 delivered"


def test_incoming_texts_do_not_tear_the_line_that_is_being_typed(
    open_screen: Callable[..., Screen], server: Server, tmp_path: pathlib.Path
) -> None:
    screen = open_screen("connect", server.invite(), "--name", "ann")
    screen.until_line("✓✓ 0/0")
    screen.type("half a sen")
    screen.until_line("#lobby> half a sen")
    texts = "".join(f"text {number}\n" for number in range(20))
    assert Home(tmp_path / "bob").run("connect", server.invite(), "--name", "bob", stdin=texts).code == 0
    screen.until_line("bob left #lobby")
    lines = screen.until_line("#lobby> half a sen")
    assert [line.partition(" bob: ")[2] for line in lines if " bob: " in line] == texts.splitlines()
    assert [line for line in lines if "half a sen" in line] == ["#lobby> half a sen"]
    screen.type("tence\r")
    screen.until_line("ann: half a sentence ✓")
    screen.type("\x04")
    assert screen.end() == 0


def test_a_reader_who_is_there_gives_the_second_tick(
    open_screen: Callable[..., Screen], server: Server, tmp_path: pathlib.Path
) -> None:
    screen = open_screen("connect", server.invite(), "--name", "ann")
    screen.until_line("✓✓ 0/0")
    reader = Home(tmp_path / "bob").start("connect", server.invite(), "--name", "bob", "--json")
    screen.until_line("bob joined #lobby")
    screen.type("read this\r")
    screen.until_line("ann: read this ✓✓")
    reader.send_signal(signal.SIGSTOP)
    screen.type("and this\r")
    screen.until(lambda lines: any(line.endswith("ann: and this ✓") for line in lines))
    reader.send_signal(signal.SIGCONT)
    screen.until(
        lambda lines: any(line.endswith("and this ✓✓") or "everybody has: “and this”" in line for line in lines)
    )
    screen.type("\x03")
    assert screen.end() == 130
    reader.communicate(timeout=LONG_ENOUGH)


@pytest.mark.slow
def test_a_server_that_does_not_answer_for_a_while_is_waited_for(
    open_screen: Callable[..., Screen], server: Server
) -> None:
    assert server.process is not None
    screen = open_screen("connect", server.invite(), "--name", "ann")
    screen.until_line("✓✓ 0/0")
    server.process.send_signal(signal.SIGSTOP)
    try:
        screen.type("anybody?\r")
        screen.until_line("ann: anybody? …")
        screen.until_line("! no answer for ")
        screen.until(lambda lines: "still trying" in lines[-1])
    finally:
        server.process.send_signal(signal.SIGCONT)
    screen.until_line("back after ")
    screen.until_line("ann: anybody? ✓")
    screen.type("/quit\r")
    assert screen.end() == 0


def test_no_color_is_respected(open_screen: Callable[..., Screen], home: Home, server: Server) -> None:
    def colours(screen: Screen) -> list[str]:
        styles = [style.split(";") for style in re.findall(r"\x1b\[([\d;]*)m", screen.raw)]
        return [code for style in styles for code in style if re.fullmatch(r"[34]\d|9\d|10\d", code)]

    screen = open_screen("connect", server.invite(), "--name", "ann")
    screen.until_line("✓✓ 0/0")
    screen.type("/quit\r")
    assert screen.end() == 0
    assert not colours(screen)
    home.more["NO_COLOR"] = ""
    screen = open_screen("connect", "clawchat-server", "--name", "ann")
    screen.until_line("✓✓ 0/0")
    screen.type("/quit\r")
    assert screen.end() == 0
    assert colours(screen)


def test_a_passphrase_is_asked_for_and_not_shown(open_screen: Callable[..., Screen], tmp_path: pathlib.Path) -> None:
    words = Passphrase("correct horse")
    slot = make_slot(
        os.urandom,
        name="nowhere",
        hello_header_key=bytes(32),
        candidates=[Address("127.0.0.1", 9)],
        relays=(),
        timestamp=int(time.time()),
        validity=660,
    )
    quick = Kdf("argon2id", {"iterations": 1, "lanes": 1, "memory_kib": 128})
    file = private_directory(tmp_path / "handed") / "home.sec"
    write_private(file, seal_file(slot.credential, words, os.urandom, quick))
    screen = open_screen("connect", file, "--timeout", 1)
    screen.until_line("Passphrase of home.sec:")
    screen.type("battery staple\r")
    screen.until_line("That isn't it. Passphrase:")
    screen.type("correct horse\r")
    screen.until_line("connecting to nowhere")
    assert screen.end() == 4
    assert "horse" not in screen.raw
    assert "staple" not in screen.raw
