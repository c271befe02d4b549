"""Secrets on a disk: private, whole or absent, and every refusal names its mend."""

from __future__ import annotations

import errno
import os
import shlex
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clawchat.crypto.bootstrap import KeyFile, Passphrase
from clawchat.net import files
from clawchat.net.files import load_bootstrap, private_directory, read_private, remove, write_private
from clawchat.values.errors import PersonalError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="mode bits are a POSIX thing")
LIMIT = 100


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "a home with spaces"
    home.mkdir(mode=0o700)
    return home


@pytest.fixture
def secret(home: Path) -> Path:
    path = home / "it's.sec"
    path.write_bytes(b"secret")
    path.chmod(0o600)
    return path


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def refusal(call: Callable[..., object], *arguments: object) -> PersonalError:
    with pytest.raises(PersonalError) as refused:
        call(*arguments)
    return refused.value


def mend(error: PersonalError) -> None:
    """Do what the error says, as a person would: copy the command between the backticks into a shell."""
    command = error.action.split("`")[1]
    subprocess.run(command, shell=True, check=True)  # noqa: S602 - the command must work in a shell


# ------------------------------------------------------------------------------------------------------------ reading


def test_a_private_file_is_read(secret: Path) -> None:
    assert read_private(secret, LIMIT) == b"secret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o660, 0o666, 0o700 | 0o001])
def test_a_file_open_to_others_is_refused_with_the_chmod_that_mends_it(secret: Path, mode: int) -> None:
    secret.chmod(mode)
    error = refusal(read_private, secret, LIMIT)
    assert error.code == "CC-FILE-MODE"
    assert f"chmod 600 {shlex.quote(str(secret))}" in error.action
    mend(error)
    assert read_private(secret, LIMIT) == b"secret"


def test_a_name_that_looks_like_an_option_is_mended_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    path = Path("-R.sec")
    path.write_bytes(b"secret")
    mend(refusal(read_private, path, LIMIT))
    assert read_private(path, LIMIT) == b"secret"


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o720])
def test_a_directory_others_can_write_is_refused_with_the_chmod_that_mends_it(secret: Path, mode: int) -> None:
    secret.parent.chmod(mode)
    error = refusal(read_private, secret, LIMIT)
    assert error.code == "CC-FILE-MODE"
    assert f"chmod 700 {shlex.quote(str(secret.parent))}" in error.action
    mend(error)
    assert read_private(secret, LIMIT) == b"secret"


def test_a_directory_others_can_only_read_is_fine(secret: Path) -> None:
    secret.parent.chmod(0o755)
    assert read_private(secret, LIMIT) == b"secret"


def test_a_shared_directory_with_the_sticky_bit_is_fine(secret: Path) -> None:
    secret.parent.chmod(0o1777)
    assert read_private(secret, LIMIT) == b"secret"


def test_a_missing_file_is_said_to_be_missing(home: Path) -> None:
    assert refusal(read_private, home / "none.sec", LIMIT).code == "CC-FILE-MISSING"
    assert refusal(read_private, home / "none" / "none.sec", LIMIT).code == "CC-FILE-MISSING"


def test_a_symbolic_link_is_not_followed(secret: Path) -> None:
    link = secret.with_name("link.sec")
    link.symlink_to(secret)
    error = refusal(read_private, link, LIMIT)
    assert error.code == "CC-FILE-KIND"
    assert "symbolic link" in error.cause


def test_a_directory_is_no_file(home: Path) -> None:
    assert refusal(read_private, home, LIMIT).code == "CC-FILE-KIND"


def test_a_pipe_is_no_file_and_nobody_waits_for_its_writer(home: Path) -> None:
    os.mkfifo(home / "pipe", 0o600)
    assert refusal(read_private, home / "pipe", LIMIT).code == "CC-FILE-KIND"


def test_a_file_of_another_user_is_refused(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = secret.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    error = refusal(read_private, secret, LIMIT)
    assert error.code == "CC-FILE-OWNER"
    assert f"chown {owner + 1} {shlex.quote(str(secret))}" in error.action


def test_a_file_that_may_not_be_opened_is_refused(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "open", errno.EACCES)
    error = refusal(read_private, secret, LIMIT)
    assert error.code == "CC-FILE-OWNER"
    assert "chown" in error.action


def test_a_disk_that_fails_is_said_to_fail(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "open", errno.EIO)
    assert "Input/output error" in refusal(read_private, secret, LIMIT).cause


@pytest.mark.parametrize(("size", "fits"), [(LIMIT, True), (LIMIT + 1, False), (1 << 20, False)])
def test_a_file_larger_than_it_can_be_is_not_read(
    secret: Path,
    size: int,
    fits: bool,  # noqa: FBT001 - a column of the table
) -> None:
    secret.write_bytes(bytes(size))
    if fits:
        assert len(read_private(secret, LIMIT)) == size
    else:
        assert refusal(read_private, secret, LIMIT).code == "CC-FILE-FORMAT"


# ------------------------------------------------------------------------------------------------------------ writing


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_a_written_file_is_private_whatever_the_umask(home: Path, umask: int) -> None:
    os.umask(umask)
    write_private(home / "new.sec", b"data")
    assert stat.S_IMODE((home / "new.sec").stat().st_mode) == 0o600
    assert read_private(home / "new.sec", LIMIT) == b"data"
    assert [path.name for path in home.iterdir()] == ["new.sec"]


def test_an_old_file_is_replaced_with_its_rights(secret: Path) -> None:
    secret.chmod(0o644)
    write_private(secret, b"new")
    assert read_private(secret, LIMIT) == b"new"


def test_a_link_is_replaced_not_followed(secret: Path) -> None:
    link = secret.with_name("link.sec")
    link.symlink_to(secret)
    write_private(link, b"new")
    assert not link.is_symlink()
    assert secret.read_bytes() == b"secret"


def failing(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    def fail(*_: Any, **__: Any) -> None:  # noqa: ANN401 - stands for any call
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, fail)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "CC-DISK-FULL"),
        (errno.EDQUOT, "CC-DISK-FULL"),
        (errno.EROFS, "CC-READ-ONLY"),
        (errno.EACCES, "CC-READ-ONLY"),
        (errno.EIO, "CC-READ-ONLY"),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else value,
)
@pytest.mark.parametrize("call", ["open", "fsync"])
def test_what_can_not_be_written_leaves_the_old_file_and_nothing_else(
    secret: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, code: str
) -> None:
    failing(monkeypatch, call, number)
    assert refusal(write_private, secret, b"new").code == code
    assert secret.read_bytes() == b"secret"
    assert list(secret.parent.iterdir()) == [secret]


def test_a_really_full_disk_is_told() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="No space") as raised, full.open("wb", buffering=0) as file:
        file.write(b"x")
    assert files.unwritable(full, raised.value).code == "CC-DISK-FULL"


def test_a_missing_directory_comes_with_the_command_that_makes_it(home: Path) -> None:
    path = home / "new place" / "x.sec"
    error = refusal(write_private, path, b"data")
    assert error.code == "CC-FILE-MISSING"
    mend(error)
    write_private(path, b"data")
    assert read_private(path, LIMIT) == b"data"


def test_a_directory_is_not_replaced_by_a_file(home: Path) -> None:
    (home / "x.sec").mkdir()
    assert refusal(write_private, home / "x.sec", b"data").code == "CC-FILE-KIND"
    assert [path.name for path in home.iterdir()] == ["x.sec"]


def test_a_place_below_a_file_is_none(secret: Path) -> None:
    assert refusal(write_private, secret / "x.sec", b"data").code == "CC-FILE-KIND"


def test_an_interrupted_write_leaves_nothing_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_private(home / "x.sec", b"data")
    assert list(home.iterdir()) == []


# --------------------------------------------------------------------------------------------- directories, removing


def test_a_new_directory_is_private_and_so_are_those_above(home: Path) -> None:
    made = private_directory(home / "a" / "b")
    assert made == home / "a" / "b"
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert private_directory(made) == made


def test_an_empty_directory_is_made_private(home: Path) -> None:
    """As a fresh volume of a container is."""
    home.chmod(0o755)
    assert stat.S_IMODE(private_directory(home).stat().st_mode) == 0o700


def test_a_directory_in_use_is_not_changed_but_refused(secret: Path) -> None:
    secret.parent.chmod(0o755)
    error = refusal(private_directory, secret.parent)
    assert error.code == "CC-FILE-MODE"
    assert f"chmod 700 {shlex.quote(str(secret.parent))}" in error.action
    mend(error)
    assert private_directory(secret.parent) == secret.parent


def test_a_directory_of_another_user_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: home.stat().st_uid + 1)
    assert refusal(private_directory, home).code == "CC-FILE-OWNER"


def test_a_file_is_no_directory(secret: Path) -> None:
    assert refusal(private_directory, secret).code == "CC-FILE-KIND"
    assert refusal(private_directory, secret / "below").code == "CC-FILE-KIND"


def test_removing_is_done_once_or_not_at_all(secret: Path) -> None:
    remove(secret)
    assert not secret.exists()
    remove(secret)


def test_what_can_not_be_removed_is_told(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "fsync", errno.EROFS)
    assert refusal(remove, secret).code == "CC-READ-ONLY"


# ------------------------------------------------------------------------------------------------------ bootstrap keys


def test_a_key_file_holds_bytes_or_hexadecimal(secret: Path) -> None:
    key = bytes(range(32))
    for content in (key, key.hex().encode(), key.hex().upper().encode() + b"\n"):
        secret.write_bytes(content)
        assert load_bootstrap(key_file=secret) == KeyFile(key)


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 64, b"00" * 33, b"\xff" * 64])
def test_another_file_is_no_key_file(secret: Path, content: bytes) -> None:
    secret.write_bytes(content)
    assert refusal(load_bootstrap, secret).code == "CC-FILE-FORMAT"


@pytest.mark.parametrize("content", ["open sesame", "open sesame\n", "open sesame\r\n"])
def test_a_passphrase_file_holds_one_line(secret: Path, content: str) -> None:
    secret.write_text(content, encoding="utf-8", newline="")
    assert load_bootstrap(passphrase_file=secret) == Passphrase("open sesame")


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff\xfe"])
def test_another_file_is_no_passphrase_file(secret: Path, content: bytes) -> None:
    secret.write_bytes(content)
    assert refusal(load_bootstrap, None, secret).code == "CC-FILE-FORMAT"


def test_key_files_must_be_private_too(secret: Path) -> None:
    secret.write_bytes(bytes(32))
    secret.chmod(0o644)
    assert refusal(load_bootstrap, secret).code == "CC-FILE-MODE"
    assert refusal(load_bootstrap, None, secret).code == "CC-FILE-MODE"


def test_a_person_is_asked_when_nothing_was_given() -> None:
    assert load_bootstrap(prompt=lambda: "open sesame") == Passphrase("open sesame")


@pytest.mark.parametrize("prompt", [None, lambda: ""], ids=["nobody to ask", "no answer"])
def test_without_any_key_the_options_are_named(prompt: Callable[[], str] | None) -> None:
    assert refusal(load_bootstrap, None, None, prompt).code == "CC-BOOTSTRAP-MISSING"


def test_two_keys_are_one_too_many(secret: Path) -> None:
    assert refusal(load_bootstrap, secret, secret).code == "CC-USAGE"
