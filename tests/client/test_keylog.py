from __future__ import annotations

import pathlib

import pytest

from clawchat.values.errors import SecurityFileError
from client.keylog import KeyLog


def test_lines_are_there_at_once_and_for_nobody_else(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "keys"
    with KeyLog(file) as log:
        log("HELLO 1")
        assert file.read_text() == "HELLO 1\n"
        assert file.stat().st_mode & 0o777 == 0o600
    with KeyLog(file) as log:
        log("DATA 2")
    assert file.read_text() == "HELLO 1\nDATA 2\n"


def test_a_file_open_to_others_is_refused(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "keys"
    file.touch(mode=0o644)
    with pytest.raises(SecurityFileError) as caught:
        KeyLog(file)
    assert (caught.value.code, caught.value.action) == ("CC-FILE-MODE", f"chmod 600 {file}")


def test_no_link_is_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(SecurityFileError):
        KeyLog(tmp_path / "link")
    assert not (tmp_path / "target").exists()
