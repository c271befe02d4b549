"""What a server and a relay tell Prometheus, asked of real ones by all the ways out."""

from __future__ import annotations

import asyncio
import http.client
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families as families_of

from clawchat.nat.reasons import Reason
from clawchat.values.address import Address
from clawchat.values.address import Path as Place
from clawchat.values.errors import TimedOut
from clawchat.values.events import KeysChanged, PortKept, PortMoved, Role, SessionEnded, SessionOpened
from clawchat.values.habit import Ports
from server.home import Home
from server.metrics import table
from server.metrics.board import Board
from server.metrics.server import ServerMeters
from tests.server.relaying import RunningRelay, name_relay, wait_joined, wait_until
from tests.server.running import Client, RunningServer, command, figure, free_port

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tests ask over unix sockets")

ALL: Final = {*table.SERVER, *table.RELAY}


def with_metrics(home: Home, **settings: object) -> None:
    """Let figures out of a server, by flags of its configuration."""
    text = home.configuration.read_text(encoding="utf-8")
    for key, value in settings.items():
        text = text.replace(f"\n  {key}: null", f"\n  {key}: {value}") if key != "port" else text
    if "port" in settings:
        head, mark, tail = text.partition("\nmetrics:")
        text = head + mark + tail.replace("port: null", f"port: {settings['port']}")
    home.configuration.write_text(text.replace("interval: 15.0", "interval: 1.0"), encoding="utf-8")


def ours(text: str) -> set[str]:
    """Return the names of the figures that are not those of any process."""
    return {each.name for each in families_of(text) if "_process_" not in each.name}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(self._path)


class TestTable:
    def test_names_follow_the_conventions(self) -> None:
        for metric in ALL:
            assert metric.name.startswith("clawchat_")
            assert metric.name.endswith("_total") == (metric.kind is table.Kind.COUNTER), metric.name
            assert bool(metric.buckets) == (metric.kind is table.Kind.HISTOGRAM)
            assert not metric.help.endswith(".")
            assert not {"session", "name", "address", "remote"} & set(metric.labels)
        assert len({metric.name for metric in ALL}) == len(ALL)

    @pytest.mark.parametrize("which", [table.SERVER, table.RELAY])
    def test_promtool_finds_nothing_to_complain_about(self, which: tuple[table.Metric, ...]) -> None:
        if shutil.which("promtool") is None:
            pytest.skip("promtool is not here")
        told = subprocess.run(
            ["promtool", "check", "metrics"], input=Board(which, "server").text(), capture_output=True, check=False
        )
        ours = [line for line in (told.stdout + told.stderr).decode().splitlines() if "clawchat_" in line]
        assert not ours

    def test_a_counter_that_is_kept_elsewhere_never_shrinks(self) -> None:
        board = Board([table.DROPS], "server")
        for absolute in (3, 2, 5):
            board.grown(table.DROPS, absolute, reason="tag")
        assert figure(board.text().decode(), table.DROPS.name, reason="tag") == 6


class TestWaysOut:
    def test_a_text_file_that_anybody_may_read_and_nobody_finds_half(self, home: Home, tmp_path: Path) -> None:
        path = tmp_path / "clawchat.prom"
        with_metrics(home, textfile=path)
        before = os.umask(0o077)
        try:
            server = RunningServer(home)
        finally:
            os.umask(before)
        with server:
            wait_until(path.exists)
            assert stat.S_IMODE(path.stat().st_mode) == 0o644
            text = path.read_text(encoding="utf-8")
            assert ours(text) == {metric.name.removesuffix("_total") for metric in table.SERVER}
            assert figure(text, "clawchat_healthy") == 1
            assert figure(text, "clawchat_security_files", state="valid") == 1
            first = path.stat().st_ino
            wait_until(lambda: path.stat().st_ino != first)
            assert server.stop() == 0
        assert not path.exists()

    def test_a_text_file_that_cannot_be_written_is_told_once(self, home: Home, tmp_path: Path) -> None:
        with_metrics(home, textfile=tmp_path / "nowhere" / "clawchat.prom")
        with RunningServer(home) as server:
            server.wait_for("metrics-not-written")
            for _ in range(2):
                server.command("metrics")
            assert server.stop() == 0
        assert [line["event"] for line in server.log].count("metrics-not-written") == 1

    def test_a_unix_socket_for_our_group(self, home: Home, tmp_path: Path) -> None:
        path = tmp_path / "metrics.sock"
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(path))  # what a server that was killed leaves behind
        with_metrics(home, socket=path)
        with RunningServer(home) as server:
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            connection = UnixConnection(path)
            connection.request("GET", "/metrics", headers={"Accept": "text/plain"})
            answer = connection.getresponse()
            assert (answer.status, answer.getheader("Connection")) == (200, "close")
            assert (answer.getheader("Content-Type") or "").startswith("text/plain")
            assert figure(answer.read().decode(), "clawchat_build_info", program="server") == 1
            for method, target, status in (("HEAD", "/", 200), ("POST", "/metrics", 405), ("GET", "/secret", 404)):
                connection = UnixConnection(path)
                connection.request(method, target)
                answer = connection.getresponse()
                assert (answer.status, answer.read()) == (status, b"")
            assert server.stop() == 0
        assert not path.exists()

    def test_a_file_that_is_in_the_way_of_the_socket_stays(self, home: Home, tmp_path: Path) -> None:
        path = tmp_path / "thesis.tex"
        path.write_text("years of work", encoding="utf-8")
        with_metrics(home, socket=path)
        told = command("run", "--directory", str(home.configuration.parent), "--ip", "127.0.0.1")
        assert told.returncode != 0
        assert "metrics.socket" in told.stderr
        assert path.read_text(encoding="utf-8") == "years of work"

    def test_a_text_file_that_nobody_would_read_is_told(self, home: Home, tmp_path: Path) -> None:
        with_metrics(home, textfile=tmp_path / "clawchat.txt")
        told = command("config", "check", "--directory", str(home.configuration.parent))
        assert told.returncode == 3
        assert ".prom" in told.stderr

    @pytest.mark.parametrize("junk", [b"\r\n\r\n", b"\xff" * 20_000, b"GET /metrics HTTP/1.1"])
    def test_what_is_no_request_gets_no_figures(self, home: Home, tmp_path: Path, junk: bytes) -> None:
        path = tmp_path / "metrics.sock"
        with_metrics(home, socket=path)
        with RunningServer(home) as server, socket.socket(socket.AF_UNIX) as one:
            one.connect(str(path))
            one.settimeout(10)
            one.sendall(junk)
            one.shutdown(socket.SHUT_WR)
            assert b"clawchat" not in one.recv(100_000)
            assert server.ask("health")["healthy"]

    def test_a_port_of_this_machine_alone(self, home: Home) -> None:
        port = free_port()
        with_metrics(home, port=port)
        with RunningServer(home):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/metrics")
            assert connection.getresponse().status == 200
            with socket.socket() as other, pytest.raises(OSError, match="refused"):
                other.connect(("127.0.0.2", port))

    def test_a_port_that_is_taken_keeps_the_server_from_starting(self, home: Home) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with_metrics(home, port=taken.getsockname()[1])
            told = command("run", "--directory", str(home.configuration.parent), "--ip", "127.0.0.1")
        assert told.returncode == 3
        assert "CC-PORT-BUSY" in told.stderr
        assert "metrics.port" in told.stderr

    def test_without_a_word_in_the_configuration_there_is_no_way_out(self, home: Home) -> None:
        with RunningServer(home) as server:
            listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
            assert f"pid={server.process.pid}," not in listening
            assert figure(server.command("metrics").stdout, "clawchat_healthy") == 1


class TestFigures:
    def test_a_client_is_seen_in_them_and_cannot_be_named_by_them(self, home: Home) -> None:
        with RunningServer(home) as server:

            async def scene() -> None:
                ann = await Client.join(server.credential(), "ann-of-green-gables")
                await asyncio.to_thread(server.wait_for, "session-opened")
                await ann.says("hello")
                await ann.hears(lambda told: type(told).__name__ == "Delivered" or type(told).__name__ == "Accepted")
                text = (await asyncio.to_thread(server.command, "metrics")).stdout
                assert figure(text, "clawchat_sessions", path="direct") == 1
                assert figure(text, "clawchat_handshakes_total", result="confirmed") == 1
                direct = {"result": "direct", "reason": "at-once", "strategy": ""}
                assert figure(text, "clawchat_path_attempts_total", **direct) == 1
                assert figure(text, "clawchat_first_byte_seconds_count") == 1
                assert figure(text, "clawchat_rtt_seconds_count", path="direct")
                assert (figure(text, "clawchat_received_bytes_total") or 0) > 100
                assert "green" not in text
                assert "127.0.0.1" not in text
                await ann.leave()

            asyncio.run(scene())
            server.wait_for("session-ended")
            text = server.command("metrics").stdout
            assert figure(text, "clawchat_sessions", path="direct") == 0
            assert figure(text, "clawchat_sessions_ended_total") == 1
            assert (figure(text, "clawchat_received_bytes_total") or 0) > 100

    def test_junk_is_counted_and_the_self_test_is_not(self, home: Home) -> None:
        with RunningServer(home) as server:
            host, _, port = server.ask("status")["port"].rpartition(":")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for _ in range(7):
                    stranger.sendto(os.urandom(300), (host, int(port)))
            wait_until(lambda: sum(server.ask("status")["drops"].values()) == 7)
            assert server.ask("health")["healthy"]
            text = server.command("metrics").stdout
            drops = [each for family in families_of(text) for each in family.samples if "dropped" in each.name]
            assert sum(each.value for each in drops if each.name.endswith("_total")) == 7

    def test_a_relay_tells_of_its_members(self, home: Home, tmp_path: Path) -> None:
        with RunningRelay(tmp_path / "relay") as relay:
            name_relay(home, relay.file)
            with RunningServer(home) as server:
                wait_joined(server)
                wait_until(lambda: relay.ask("status")["members"] == 1)
                text = command("relay", "metrics", "--directory", relay.directory).stdout
                assert ours(text) == {metric.name.removesuffix("_total") for metric in table.RELAY}
                assert figure(text, "clawchat_relay_members") == 1
                assert figure(text, "clawchat_relay_joins_total") == 1
                assert (figure(text, "clawchat_relay_boxes") or 0) >= 1
                text = server.command("metrics").stdout
                assert figure(text, "clawchat_relays", state="joined") == 1
                assert figure(text, "clawchat_sessions", path="direct") == 0

    def test_a_server_that_begins_anew_keeps_its_ways_out_and_says_so(self, home: Home, tmp_path: Path) -> None:
        path, port = tmp_path / "clawchat.prom", free_port()
        with_metrics(home, textfile=path, port=port, socket=tmp_path / "metrics.sock")
        with RunningServer(home) as server:
            wait_until(path.exists)
            server.process.send_signal(signal.SIGUSR2)
            server.wait_for("compromised")
            server.wait_for("started")
            wait_until(lambda: figure(server.command("metrics").stdout, "clawchat_compromised_total") == 1)
            wait_until(lambda: path.exists() and "clawchat_compromised_total" in path.read_text(encoding="utf-8"))
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/metrics")
            assert figure(connection.getresponse().read().decode(), "clawchat_compromised_total") == 1
            assert (tmp_path / "metrics.sock").exists()


class TestJudging:
    def test_a_search_without_success_is_counted_after_a_minute_and_once(self) -> None:
        session = SimpleNamespace(
            id=1,
            path=SimpleNamespace(relayed=True),
            path_reason=Reason.NO_ANSWER,
            machines=SimpleNamespace(
                punching=SimpleNamespace(move=None, peer_ports=Ports.RANDOM), recovery=SimpleNamespace(packets_lost=0)
            ),
            stats=lambda *, now: SimpleNamespace(  # noqa: ARG005 - as a session's
                rtt=0.1, bytes_sent=1, bytes_received=1, packets_sent=1, packets_received=1
            ),
        )
        endpoint = SimpleNamespace(
            sessions={1: session},
            abandoned=0,
            drops={},
            scout=SimpleNamespace(habit=lambda *, now: SimpleNamespace(ports=Ports.STEADY)),  # noqa: ARG005 - as a scout's
        )
        program: Any = SimpleNamespace(
            endpoint=endpoint,
            node=SimpleNamespace(lag=0.0),
            invitations=SimpleNamespace(views=list),
            relays=SimpleNamespace(views=list),
            returning=(),
            handler=None,
        )
        meters = ServerMeters(program)
        place = Place(0, Address("203.0.113.1", 5000))
        meters.on_event(SessionOpened(1, Role.RESPONDER, bytes(8), "words", place), now=100.0)
        labels = {"result": "relay", "reason": "no-answer", "strategy": "", "nat": "steady", "peer_nat": "random"}
        for now, expected in ((159.0, None), (160.0, 1.0), (200.0, 1.0)):
            meters.refresh(healthy=True, missing=0, now=now)
            assert figure(meters.board.text().decode(), "clawchat_path_attempts_total", **labels) == expected
        for event in (KeysChanged(1, 2), PortMoved(0, 1, 0), PortKept("busy"), PortKept("busy")):
            meters.on_event(event, now=250.0)
        meters.on_event(SessionEnded(1, TimedOut("silence")), now=300.0)
        text = meters.board.text().decode()
        assert figure(text, "clawchat_key_changes_total") == 1
        assert figure(text, "clawchat_port_moves_total", result="moved") == 1
        assert figure(text, "clawchat_port_moves_total", result="kept") == 2
        assert figure(meters.board.text().decode(), "clawchat_path_attempts_total", **labels) == 1.0
