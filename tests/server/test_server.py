"""The real server in a process of its own, with real clients over real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawchat.net.connection import connect
from clawchat.services.chat import Delivered, Joined, Left
from clawchat.services.handover import HandoverReader
from clawchat.services.preface import PrefaceReader
from clawchat.values.address import Address
from clawchat.values.errors import HandshakeFailed, PeerClosed, PersonalError, SessionClosed
from server.home import Home
from tests.server.running import PATIENCE, Client, RunningServer, command, directory_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tests ask over unix sockets")


@pytest.fixture
def server(home: Home) -> Iterator[RunningServer]:
    with RunningServer(home) as running:
        yield running


def port_of(server: RunningServer) -> Address:
    return Address.parse(server.ask("status")["port"])


class TestFiles:
    def test_the_first_file_is_there_at_once(self, server: RunningServer) -> None:
        path = server.home.security_file("default")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        credential = server.credential()
        assert credential.candidates == (port_of(server),)
        assert 49152 <= credential.candidates[0].port <= 65535

    def test_a_file_is_good_once(self, server: RunningServer) -> None:
        credential = server.credential()

        async def scene() -> None:
            ann = await Client.join(credential, "ann")
            await asyncio.to_thread(server.wait_for, "session-opened")
            assert not server.home.security_file("default").exists()
            with pytest.raises(HandshakeFailed):
                await connect(ann.node, server_credential, port=0, timeout=0.7)
            await ann.leave()

        server_credential = server.credential()
        asyncio.run(scene())
        assert server.ask("status")["files"] == []

    def test_several_invitations_are_open_at_once(self, server: RunningServer) -> None:
        told = [server.command("invite", "--name", name) for name in ("ann", "bob")]
        assert [each.stdout.strip() for each in told] == [
            str(server.home.security_file(name)) for name in ("ann", "bob")
        ]

        async def scene() -> None:
            people = [await Client.join(server.credential(name), name) for name in ("ann", "bob")]
            for person in people:
                await person.leave()

        asyncio.run(scene())
        assert [entry["name"] for entry in server.ask("status")["files"]] == ["default"]

    def test_an_unused_file_is_renewed_and_the_older_one_is_still_good(self, home: Home) -> None:
        text = home.configuration.read_text(encoding="utf-8")
        home.configuration.write_text(
            text.replace("auto_regenerate_minutes: 10.0", "auto_regenerate_minutes: 0.05"), encoding="utf-8"
        )
        with RunningServer(home) as server:
            first = server.credential()
            server.wait_for("file-written")
            assert server.credential().slot_id != first.slot_id

            async def scene() -> None:
                await (await Client.join(first, "ann")).leave()

            asyncio.run(scene())
            server.wait_for("invitation-used")
            assert not home.security_file("default").exists()

    def test_the_end_leaves_no_file(self, server: RunningServer) -> None:
        server.command("invite", "--name", "ann")
        assert server.stop() == 0
        assert directory_of(server.home.security) == {"bootstrap.key", "server.lock"}

    def test_a_bad_name_is_told(self, server: RunningServer) -> None:
        told = server.command("invite", "--name", "../ann")
        assert told.returncode == 2
        assert "CC-NAME" in told.stderr


class TestChat:
    def test_clients_talk_and_get_receipts(self, server: RunningServer) -> None:
        server.ask("invite", name="bob")

        async def scene() -> None:
            ann = await Client.join(server.credential(), "ann")
            await ann.hears(lambda told: isinstance(told, Joined))
            bob = await Client.join(server.credential("bob"), "bob")
            await bob.hears(lambda told: isinstance(told, Joined))
            said = await ann.says("hi bob")
            assert (await bob.hears_text()).text == "hi bob"
            receipt = await ann.hears(lambda told: isinstance(told, Delivered))
            assert receipt == Delivered(said, receipt.number, "bob")  # type: ignore[union-attr] # a receipt
            await bob.leave()
            await ann.hears(lambda told: isinstance(told, Left))
            await ann.leave()

        asyncio.run(scene())

    def test_an_operator_takes_part_by_lines(self, server: RunningServer) -> None:
        async def scene() -> None:
            ann = await Client.join(server.credential(), "ann")
            await ann.hears(lambda told: isinstance(told, Joined))
            operator = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "server", "attach", "--directory", server.directory, "--name", "op"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert operator.stdin is not None
            assert operator.stdout is not None
            assert await operator.stdout.readline() == b"* you are in lobby, with ann\n"
            await ann.says("help")
            assert await operator.stdout.readline() == b"[lobby] ann: help\n"
            operator.stdin.write(b"coming\n/to ann psst\n")
            assert (await ann.hears_text()).text == "coming"
            assert (await ann.hears_text()).to == "ann"
            operator.stdin.close()
            assert await asyncio.wait_for(operator.wait(), PATIENCE) == 0
            await ann.hears(lambda told: isinstance(told, Left))
            await ann.leave()

        asyncio.run(scene())

    def test_an_operator_takes_part_at_a_terminal(self, server: RunningServer) -> None:
        pexpect = pytest.importorskip("pexpect")

        async def scene() -> None:
            ann = await Client.join(server.credential(), "ann")
            await ann.hears(lambda told: isinstance(told, Joined))
            terminal = pexpect.spawn(
                sys.executable,
                ["-m", "server", "attach", "--directory", server.directory, "--name", "op"],
                timeout=PATIENCE,
                encoding="utf-8",
                env=os.environ | {"PROMPT_TOOLKIT_NO_CPR": "1"},
            )
            await asyncio.to_thread(terminal.expect_exact, "you are op on clawchat-server")
            await asyncio.to_thread(terminal.expect_exact, "lobby>")
            terminal.send("half a line")
            await asyncio.to_thread(terminal.expect_exact, "half a line")
            await ann.says("in between")
            await asyncio.to_thread(terminal.expect_exact, "[lobby] ann: in between")
            terminal.send(" and the rest\r")
            assert (await ann.hears_text()).text == "half a line and the rest"
            await asyncio.to_thread(terminal.expect_exact, "ann has it")
            terminal.sendline("/quit")
            await asyncio.to_thread(terminal.expect, pexpect.EOF)
            await asyncio.to_thread(terminal.close)
            assert terminal.exitstatus == 0
            await ann.leave()

        asyncio.run(scene())

    def test_what_a_script_says_last_still_arrives(self, server: RunningServer) -> None:
        async def scene() -> None:
            ann = await Client.join(server.credential(), "ann")
            await ann.hears(lambda told: isinstance(told, Joined))
            said = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "server", "attach", "--directory", server.directory],
                input=b"one\ntwo\n",
                check=True,
                capture_output=True,
            )
            assert said.returncode == 0
            assert [(await ann.hears_text()).text for _ in range(2)] == ["one", "two"]
            await ann.leave()

        asyncio.run(scene())

    def test_a_handler_answers_from_its_own_process(self, home: Home, tmp_path: Path) -> None:
        bot = tmp_path / "bot.py"
        bot.write_text(
            textwrap.dedent("""
                import json, sys
                for line in sys.stdin:
                    print(json.dumps({"text": json.loads(line)["text"].upper()}), flush=True)
            """),
            encoding="utf-8",
        )
        text = home.configuration.read_text(encoding="utf-8")
        home.configuration.write_text(
            text.replace("handler: []", f"handler: {json.dumps([sys.executable, str(bot)])}"), encoding="utf-8"
        )

        async def scene(server: RunningServer) -> None:
            ann = await Client.join(server.credential(), "ann")
            await ann.says("hi")
            told = await ann.hears_text()
            assert (told.sender, told.text) == ("bot", "HI")
            await ann.leave()

        with RunningServer(home) as server:
            asyncio.run(scene(server))
            assert server.ask("status")["handler"] == {"running": True, "starts": 1}
            assert server.stop() == 0


class TestComingBack:
    @staticmethod
    async def _join_and_take_next(server: RunningServer):  # type: ignore[no-untyped-def] # noqa: ANN205 - a credential
        ann = await Client.join(server.credential(), "ann")
        stream = await asyncio.wait_for(ann.connection.accept_stream(), PATIENCE)
        preface, reader = PrefaceReader(), HandoverReader()
        service = None
        while data := await asyncio.wait_for(stream.read(), PATIENCE):
            if service is None:
                found = preface.feed(data)
                if found is None:
                    continue
                service, data = found
            reader.feed(data)
        assert service == "credential"
        await ann.leave()
        return reader.finish()

    @staticmethod
    async def _come_back(credential) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - a credential
        await (await Client.join(credential, "ann")).leave()

    def test_a_client_comes_back_without_a_file(self, server: RunningServer) -> None:
        credential = asyncio.run(self._join_and_take_next(server))
        asyncio.run(self._come_back(credential))
        assert [line["name"] for line in server.log if line["event"] == "session-opened"] == ["default", "default"]

    def test_a_client_comes_back_after_the_server_was_started_again(self, home: Home) -> None:
        with RunningServer(home) as server:
            credential = asyncio.run(self._join_and_take_next(server))
            assert server.stop() == 0
        with RunningServer(home) as server:
            assert server.log[-1]["returning"] == 1
            asyncio.run(self._come_back(credential))

    def test_a_killed_server_is_no_obstacle(self, home: Home) -> None:
        with RunningServer(home) as server:
            credential = asyncio.run(self._join_and_take_next(server))
            server.process.kill()
            server.process.wait()
        with RunningServer(home):
            asyncio.run(self._come_back(credential))

    def test_it_can_be_turned_off(self, home: Home) -> None:
        text = home.configuration.read_text(encoding="utf-8")
        home.configuration.write_text(text.replace("resume_hours: 24.0", "resume_hours: 0"), encoding="utf-8")

        async def scene(server: RunningServer) -> None:
            ann = await Client.join(server.credential(), "ann")
            await ann.hears(lambda told: isinstance(told, Joined))
            await ann.leave()

        with RunningServer(home) as server:
            asyncio.run(scene(server))
            assert server.ask("status")["returning"] == 0


class TestDarkness:
    def test_a_stranger_gets_no_answer(self, server: RunningServer) -> None:
        target = port_of(server)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            for size in (*range(0, 1473, 31), 48, 256, 1200, 1472):
                stranger.sendto(secrets.token_bytes(size), target)
            # answers keep the order of questions on loopback: once our self-test was counted, nothing else will come
            assert server.ask("health")["datagram"]
            stranger.setblocking(False)
            with pytest.raises(BlockingIOError):
                stranger.recv(2048)
        drops = server.ask("status")["drops"]
        assert sum(drops.values()) >= 40

    def test_junk_is_counted_not_logged(self, server: RunningServer) -> None:
        target = port_of(server)
        before = len(server.log)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for _ in range(500):
                stranger.sendto(secrets.token_bytes(256), target)
        assert server.ask("health")["healthy"]
        assert len(server.log) == before


class TestRunning:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_closes_the_sessions(self, server: RunningServer, number: signal.Signals) -> None:
        async def scene() -> SessionClosed:
            ann = await Client.join(server.credential(), "ann")
            server.process.send_signal(number)
            ended = await asyncio.wait_for(ann.connection.wait_closed(), PATIENCE)
            await ann.leave()
            return ended

        ended = asyncio.run(scene())
        assert isinstance(ended, PeerClosed)
        assert ended.reason == "the server is stopping"
        assert server.process.wait(PATIENCE) == 0
        assert not server.home.control.exists()

    def test_a_second_one_is_kept_out(self, server: RunningServer) -> None:
        told = server.command("run")
        assert told.returncode == 3
        assert "CC-ALREADY-RUNNING" in told.stderr
        assert server.ask("health")["healthy"]

    def test_one_that_was_killed_leaves_nothing_in_the_way(self, server: RunningServer) -> None:
        server.process.kill()
        server.process.wait()
        with RunningServer(server.home) as again:
            assert again.ask("health")["healthy"]

    def test_a_port_in_use_is_told(self, home: Home) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            number = str(other.getsockname()[1])
            told = command("run", "--directory", str(home.configuration.parent), "--ip", "127.0.0.1", "--port", number)
        assert told.returncode == 3
        assert "CC-PORT-BUSY" in told.stderr
        assert "Traceback" not in told.stderr
        assert directory_of(home.security) == {"bootstrap.key", "server.lock"}

    def test_an_address_of_another_machine_is_told(self, home: Home) -> None:
        told = command("run", "--directory", str(home.configuration.parent), "--ip", "203.0.113.1")
        assert (told.returncode, "CC-ADDRESS" in told.stderr) == (3, True)

    def test_the_port_may_be_chosen(self, home: Home) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            number = int(other.getsockname()[1])
        with RunningServer(home, "--port", str(number)) as server:
            assert port_of(server) == ("127.0.0.1", number)

    def test_a_public_address_is_what_clients_are_told(self, home: Home) -> None:
        text = home.configuration.read_text(encoding="utf-8")
        home.configuration.write_text(
            text.replace("public_address: null", "public_address: 203.0.113.7"), encoding="utf-8"
        )
        with RunningServer(home) as server:
            assert server.credential().candidates == (Address("203.0.113.7", port_of(server).port),)

    def test_who_is_here_is_shown_with_the_safety_words(self, server: RunningServer) -> None:
        async def scene() -> str:
            ann = await Client.join(server.credential(), "ann")
            await ann.hears(lambda told: isinstance(told, Joined))
            (found,) = (await asyncio.to_thread(server.ask, "sessions"))["sessions"]
            assert (found["words"], found["chat"], found["name"]) == (ann.connection.words, ["ann"], "default")
            shown = await asyncio.to_thread(server.command, "sessions")
            assert ann.connection.words.split()[0] in shown.stdout
            await asyncio.to_thread(server.command, "sessions", "--disconnect", str(found["session"]))
            ended = await asyncio.wait_for(ann.connection.wait_closed(), PATIENCE)
            await ann.leave()
            return ended.reason if isinstance(ended, PeerClosed) else ""

        assert asyncio.run(scene()) == "closed by the operator"
        assert server.command("sessions").stdout == "nobody is connected\n"

    def test_health_says_so(self, server: RunningServer) -> None:
        told = server.command("health")
        assert (told.returncode, told.stdout) == (0, "healthy\n")

    def test_health_misses_a_file(self, server: RunningServer) -> None:
        server.home.security_file("default").unlink()
        told = server.command("health")
        assert told.returncode == 1
        assert "CC-UNHEALTHY" in told.stderr
        assert "default" in told.stderr

    def test_health_needs_a_loop_that_turns(self, server: RunningServer) -> None:
        server.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(PersonalError) as caught:
                server.ask("health", timeout=0.2)
        finally:
            server.process.send_signal(signal.SIGCONT)
        assert caught.value.code == "CC-NOT-RUNNING"

    def test_status_tells_everything(self, server: RunningServer) -> None:
        shown = server.command("status")
        assert str(server.home.security_file("default")) in shown.stdout
        assert json.loads(server.command("status", "--json").stdout)["server"] == "clawchat-server"


class TestKeys:
    def test_a_key_log_is_loud_private_and_complete(self, home: Home, tmp_path: Path) -> None:
        log = tmp_path / "keys.log"

        async def scene(server: RunningServer) -> None:
            ann = await Client.join(server.credential(), "ann")
            await ann.hears(lambda told: isinstance(told, Joined))
            await ann.leave()

        with RunningServer(home, "--keylog", str(log)) as server:
            assert any("WARNING" in line for line in server.other_lines)
            assert server.ask("status")["keylog"]
            asyncio.run(scene(server))
            server.stop()
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        assert {line.split()[0] for line in log.read_text().splitlines()} >= {"HELLO", "WELCOME", "DATA"}

    def test_a_key_log_replaces_nothing(self, home: Home, tmp_path: Path) -> None:
        log = tmp_path / "keys.log"
        log.write_text("precious")
        told = command("run", "--directory", str(home.configuration.parent), "--keylog", str(log))
        assert (told.returncode, log.read_text()) == (2, "precious")

    def test_no_secret_and_no_text_is_in_the_log(self, home: Home) -> None:
        async def scene(server: RunningServer) -> list[str]:
            credential = server.credential()
            hidden = [credential.secret.hex(), credential.server_key.hex(), credential.hello_header_key.hex()]
            ann = await Client.join(credential, "ann")
            await ann.says("a very private text")
            await ann.hears(lambda told: isinstance(told, Joined))
            await ann.leave()
            return hidden

        with RunningServer(home, "--log-level", "debug") as server:
            hidden = asyncio.run(scene(server))
            server.stop()
        told = json.dumps(server.log) + "".join(server.other_lines)
        key = home.bootstrap_key.read_text().strip()
        assert not [secret for secret in (*hidden, key, "private text") if secret in told]

    def test_a_new_bootstrap_key_is_taken_over_while_running(self, server: RunningServer) -> None:
        old = server.home.bootstrap_key.read_text()
        told = server.command("bootstrap", "--new")
        assert (told.returncode, told.stdout) == (0, f"{server.home.bootstrap_key}\n")
        assert server.home.bootstrap_key.read_text() != old
        assert server.credential().candidates

    def test_a_passphrase_works_from_a_file(self, tmp_path: Path) -> None:
        words = tmp_path / "words"
        words.write_text("four words for nobody\n")
        words.chmod(0o600)
        directory = tmp_path / "server"
        made = command("init", "--directory", str(directory), "--passphrase-file", str(words))
        assert made.returncode == 0
        with RunningServer(
            Home(directory / "server.yaml", directory / "security"), "--passphrase-file", str(words)
        ) as server:
            assert server.stop() == 0
        words.write_text("four other words\n")
        told = command("run", "--directory", str(directory), "--passphrase-file", str(words))
        assert (told.returncode, "CC-PASSPHRASE" in told.stderr) == (3, True)
        told = command("run", "--directory", str(directory))
        assert (told.returncode, "CC-BOOTSTRAP-MISSING" in told.stderr) == (3, True)


@pytest.mark.bench
def test_the_end_takes_less_than_two_seconds_even_when_nobody_answers(server: RunningServer) -> None:
    async def scene() -> float:
        ann = await Client.join(server.credential(), "ann")
        for port in ann.node.ports.values():
            asyncio.get_running_loop().remove_reader(port.fileno())
        started = time.monotonic()
        assert await asyncio.to_thread(server.stop) == 0
        taken = time.monotonic() - started
        await ann.node.close(limit=0)
        return taken

    assert asyncio.run(scene()) < 2
