"""After COMPROMISED a real server and a real client hold none of the keys they had: their memory is searched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.home import Home
from server.initialise import initialise
from tests.memory.watched import TURN

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="reads the memory of other processes"
)
CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
GENEROUS = 10.0
"""How long it may take until no key is left: two seconds are promised, on a machine that has nothing else to do."""

HANDLER = [sys.executable, "-c", "import sys\nfor line in sys.stdin: pass"]


def keys_of(file: Path) -> dict[str, bytes]:
    """Read the keys that a watched program had, by what they are and when they came."""
    lines = file.read_text(encoding="ascii").splitlines()
    found: dict[str, bytes] = {}
    for number, (name, turned) in enumerate(line.rsplit(" ", 1) for line in lines):
        found.setdefault(bytes.fromhex(turned).translate(TURN).hex(), f"{name} {number}".encode())
    return {name.decode(): bytes.fromhex(key) for key, name in found.items()}


def in_memory(process: int, wanted: dict[str, bytes]) -> set[str]:
    """Search all that a process can write to."""
    found = set()
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text(encoding="utf-8").splitlines():
            span, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            start, stop = (int(end, 16) for end in span.split("-"))
            try:
                memory.seek(start)
                held = memory.read(stop - start)
            except OSError:  # pages of the kernel's own
                continue
            found |= {name for name, key in wanted.items() if key in held}
    return found


def left_in(process: subprocess.Popen[str], keys: dict[str, bytes]) -> set[str]:
    """Search a process that may end meanwhile: then nothing is left of it."""
    try:
        return in_memory(process.pid, keys)
    except (FileNotFoundError, ProcessLookupError):
        return set()


@contextmanager
def watched(which: str, file: Path, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.memory.watched", which, str(file), *arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env=os.environ | environ,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], event: str, *, errors: bool) -> None:
    stream = process.stderr if errors else process.stdout
    assert stream is not None
    deadline = time.monotonic() + PATIENCE
    for line in stream:
        if line.startswith("{") and json.loads(line)["event"] == event:
            return
        assert time.monotonic() < deadline, line
    raise AssertionError(f"ended before {event}")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = initialise(tmp_path / "server", passphrase=False, passphrase_file=None)
    text = made.configuration.read_text(encoding="utf-8")
    made.configuration.write_text(text.replace("handler: []", f"handler: {json.dumps(HANDLER)}"), encoding="utf-8")
    made.configuration.chmod(0o600)
    return made


def children_of(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(number) for number in text.split()]


@pytest.mark.parametrize("by", ["server", "client"])
def test_two_seconds_later_no_key_is_left_in_either_process(home: Home, tmp_path: Path, by: str) -> None:
    directory = str(home.configuration.parent)
    server_keys, client_keys = tmp_path / "server.keys", tmp_path / "client.keys"
    arguments = ("run", "--directory", directory, "--ip", "127.0.0.1")
    with watched("server", server_keys, *arguments) as server:
        wait_for(server, "started", errors=True)
        carried = tmp_path / "handed"
        carried.mkdir(mode=0o700)
        for source in (home.bootstrap_key, home.security_file("default")):
            (carried / source.name).write_bytes(source.read_bytes())
            (carried / source.name).chmod(0o600)
        places = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"), "XDG_RUNTIME_DIR": str(tmp_path)}
        with watched("client", client_keys, "connect", str(carried / "default.sec"), "--json", **places) as client:
            wait_for(client, "joined", errors=False)
            wait_for(server, "session-opened", errors=True)
            assert client.stdin is not None
            client.stdin.write('hello\n{"command": "rekey"}\n')
            client.stdin.flush()
            wait_for(client, "keys_changed", errors=False)
            held = {"server": keys_of(server_keys), "client": keys_of(client_keys)}
            kinds = {name.split()[0] for keys in held.values() for name in keys}
            assert kinds >= {"data", "root", "psk", "header", "hello", "bootstrap", "secret"}
            # the control: while they are in use, keys are found in both
            assert in_memory(server.pid, held["server"])
            assert in_memory(client.pid, held["client"])
            (handler,) = children_of(server.pid)
            assert in_memory(handler, held["server"]) == set()

            began = time.monotonic()
            (server if by == "server" else client).send_signal(signal.SIGUSR2)
            found = {"client": {"not looked at yet"}}
            while any(carried.iterdir()):
                assert time.monotonic() < began + GENEROUS
            client.send_signal(
                signal.SIGSTOP
            )  # so that, if it has words to send, it is a living process that is searched
            while any(found.values()) and time.monotonic() < began + GENEROUS:
                found = {"client": left_in(client, held["client"]), "server": left_in(server, held["server"])}
            assert not any(found.values()), found
            assert by == "server" or client.poll() is None
            client.send_signal(signal.SIGCONT)
            assert client.wait(PATIENCE) == 1
        assert not list(carried.iterdir())
        assert not list((tmp_path / "state").rglob("*.sec"))
