"""No secret and nothing that was said stands where it does not belong: logs, arguments, environments, errors, disks."""

from __future__ import annotations

import os
import pathlib
import sys

import pytest

from clawchat.crypto.bootstrap import KeyFile
from clawchat.crypto.secfile import open_file
from clawchat.net.files import load_bootstrap
from lab.verify.canaries import of_bytes
from server.home import Home as ServerHome
from tests.client.conftest import Home
from tests.client.test_survival import Talker, invited, killed, talking, wait_for_way_back
from tests.server.running import RunningServer, command

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are looked at in /proc")

SAID = "the heron flies at midnight"
UNSENT = "the otter knows too much"


def seen(canaries: dict[str, bytes], places: dict[str, bytes]) -> set[tuple[str, str]]:
    """Return which canary was seen where, in whatever form."""
    return {
        (name, place)
        for name, canary in canaries.items()
        for place, contents in places.items()
        if any(needle.data in contents for needle in of_bytes(name, canary))
    }


def process(pid: int) -> dict[str, bytes]:
    """Return what any user may see of a process, and its environment."""
    root = pathlib.Path("/proc", str(pid))
    return {f"{pid} {name}": (root / name).read_bytes() for name in ("cmdline", "environ")}


def disk(*directories: pathlib.Path) -> dict[str, bytes]:
    """Return every file below some directories but those whose purpose is to hold a key."""
    return {
        str(path): path.read_bytes()
        for directory in directories
        for path in directory.rglob("*")
        if path.is_file() and path.name != "bootstrap.key"
    }


def test_what_is_secret_is_seen_nowhere(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / "server"
    assert command("init", "--directory", str(directory)).returncode == 0
    server_home = ServerHome(directory / "server.yaml", directory / "security")
    ann_home, bob_home = Home(tmp_path / "ann"), Home(tmp_path / "bob")
    places: dict[str, bytes] = {}
    with RunningServer(server_home) as server:
        files = {"ann": invited(server, ann_home, "ann"), "bob": invited(server, bob_home, "bob")}
        bootstrap = load_bootstrap(server_home.bootstrap_key)
        assert isinstance(bootstrap, KeyFile)
        key = bytes(bootstrap.key)
        canaries = {"bootstrap key": key, "said": SAID.encode(), "unsent": UNSENT.encode()}
        for name, file in files.items():
            credential = open_file(file.read_bytes(), KeyFile(key))
            canaries[f"secret of {name}"] = bytes(credential.secret)
            canaries["header key"] = bytes(credential.hello_header_key)
        with talking(ann_home, files["ann"], "--name", "ann") as ann, talking(bob_home, files["bob"]) as bob:
            ann.say(SAID)
            bob.wait_for("message", text=SAID)
            wait_for_way_back(ann_home, bob_home)
            for number in (server.process.pid, ann.process.pid, bob.process.pid):
                places |= process(number)
            places["status"] = server.command("status").stdout.encode()
            places["sessions"] = server.command("sessions").stdout.encode()
            killed(server)
            ann.say(UNSENT)
            ann.wait_for("said", text=UNSENT)
            ann.kill()
            places["ann's errors"], places["bob's errors"] = ann.errors.encode(), b""
            ann_disk = disk(tmp_path)
        places["log"] = "".join([*map(str, server.log), *server.other_lines]).encode()
    places |= ann_disk
    places["wrong key"] = wrong_key(ann_home, files["bob"]).encode()
    assert seen(canaries, places) == set()
    # The search itself is tried: what is put there is found, in each form.
    for form in of_bytes("bootstrap key", key):
        planted = {**places, "log": places["log"] + form.data}
        assert seen(canaries, planted) == {("bootstrap key", "log")}, form


def wrong_key(home: Home, file: pathlib.Path) -> str:
    """Try a security file with another key; return all that is said about it."""
    other = home.path / "other.key"
    other.write_bytes(os.urandom(32))
    other.chmod(0o600)
    result = home.run("connect", file, "--key-file", other)
    assert result.code == 3
    return result.out + result.err


def test_errors_of_a_client_are_kept_for_looking(tmp_path: pathlib.Path) -> None:
    talker = Talker(Home(tmp_path / "ann"), tmp_path / "none.sec")
    talker.process.wait()
    talker.end()
    assert "CC-FILE-MISSING" in talker.errors
