from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from clawchat.crypto.bootstrap import KeyFile
from clawchat.crypto.sealed_log import Record
from clawchat.net import journal
from clawchat.net.journal import Journal, read_journal
from clawchat.values.errors import SecurityFileError

KEY = KeyFile(bytes(range(32)))
FORM = "clawchat test"


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    tmp_path.chmod(0o700)
    return tmp_path / "some.journal"


@pytest.fixture
def state() -> list[Record]:
    return [{"n": 0}]


@pytest.fixture
def made(path: pathlib.Path, state: list[Record]) -> Iterator[Journal]:
    with contextlib.closing(Journal(path, form=FORM, snapshot=lambda: state)) as one:
        yield one


def read(path: pathlib.Path) -> list[Record]:
    return read_journal(path, KEY, form=FORM)


def test_what_is_noted_is_on_disk_once_it_is_flushed(made: Journal, path: pathlib.Path) -> None:
    assert read(path) == []
    made.begin(KEY)
    made.note({"n": 1})
    assert read(path) == [{"n": 0}]
    made.flush()
    assert read(path) == [{"n": 0}, {"n": 1}]
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_is_written_anew_when_it_has_grown(
    made: Journal, path: pathlib.Path, state: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "GROWTH_BYTES", 500)
    made.begin(KEY)
    small = path.stat().st_size
    sizes = []
    for number in range(100):
        state[:] = [{"n": number}]
        made.note({"n": number})
        made.flush()
        sizes.append(path.stat().st_size)
        assert read(path)[-1] == {"n": number}
    assert max(sizes) < small + 3 * max(small, 500)


def test_before_it_is_begun_nothing_is_written(made: Journal, path: pathlib.Path) -> None:
    made.note({"n": 1})
    made.flush()
    assert not path.exists()
    assert not made.open


def test_a_disk_that_takes_no_more_is_told_once_and_the_rest_stays_readable(
    made: Journal, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.begin(KEY)
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[: len(data) // 2]))
    made.note({"n": 1})
    with pytest.raises(SecurityFileError) as caught:
        made.flush()
    assert caught.value.code == "CC-DISK-FULL"
    made.note({"n": 2})
    made.flush()
    assert read(path) == [{"n": 0}]


def test_destroyed_is_gone(made: Journal, path: pathlib.Path) -> None:
    made.begin(KEY)
    made.destroy()
    assert not path.exists()


KILLED = """
import os, pathlib, signal, sys
from clawchat.crypto.bootstrap import KeyFile
from clawchat.net.journal import Journal
made = Journal(pathlib.Path(sys.argv[1]), form="clawchat test", snapshot=lambda: [{"n": 0}])
made.begin(KeyFile(bytes(range(32))))
for number in range(1, 10_000):
    made.note({"n": number})
    made.flush()
    print(number, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="this system has no SIGKILL")
def test_what_was_flushed_survives_a_kill(path: pathlib.Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 200:
            break
    process.kill()
    rest = process.stdout.read().split("\n")
    process.wait()
    process.stdout.close()
    told = [int(line) for line in rest[:-1]]
    found = [record["n"] for record in read(path)]
    assert found[: (told or [200])[-1] + 1] == list(range((told or [200])[-1] + 1))
