"""A drop folder: files that appear whole, names that say nothing, and a directory that nobody trusts."""

from __future__ import annotations

import os
import pathlib
import stat
import sys
import time

import pytest

from clawchat.net.carrying import DropPost, HandPost
from clawchat.net.drop import (
    FIRST_WAIT,
    KEPT_SECONDS,
    LONGEST_WAIT,
    MAX_COPIES,
    SHARED,
    Backoff,
    DirectoryDrop,
    copies,
    names_of,
)
from clawchat.values.errors import PersonalError

posix = pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")


@pytest.fixture
def drop(tmp_path: pathlib.Path) -> DirectoryDrop:
    return DirectoryDrop(tmp_path)


class TestDirectory:
    def test_what_was_put_is_there(self, drop: DirectoryDrop, tmp_path: pathlib.Path) -> None:
        drop.put("a.claw", b"one")
        drop.put("a.claw", b"two")
        assert drop.list() == ["a.claw"]
        assert drop.get("a.claw") == b"two"
        assert [path.name for path in tmp_path.iterdir()] == ["a.claw"]

    @posix
    def test_modes(self, drop: DirectoryDrop, tmp_path: pathlib.Path) -> None:
        drop.put("a.claw", b"one")
        drop.put("b.sec", b"two", mode=0o600)
        modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.claw", "b.sec")]
        umask = os.umask(0)
        os.umask(umask)
        assert modes == [SHARED & ~umask, 0o600 & ~umask]

    def test_what_is_deleted_is_gone_and_may_be_so_already(self, drop: DirectoryDrop) -> None:
        drop.put("a.claw", b"one")
        drop.delete("a.claw")
        drop.delete("a.claw")
        assert drop.list() == []
        assert drop.get("a.claw") == b""

    def test_what_is_too_large_is_nothing(self, drop: DirectoryDrop, tmp_path: pathlib.Path) -> None:
        (tmp_path / "a.claw").write_bytes(bytes(8 * 1024))
        (tmp_path / "b.claw").write_bytes(bytes(8 * 1024 + 1))
        assert len(drop.get("a.claw")) == 8 * 1024
        assert drop.get("b.claw") == b""

    @posix
    def test_only_regular_files_are_read(self, drop: DirectoryDrop, tmp_path: pathlib.Path) -> None:
        (tmp_path / "secret").write_bytes(b"of somebody")
        (tmp_path / "a.claw").symlink_to(tmp_path / "secret")
        os.mkfifo(tmp_path / "b.claw")
        (tmp_path / "c.claw").mkdir()
        assert [drop.get(name) for name in ("a.claw", "b.claw", "c.claw")] == [b"", b"", b""]

    @posix
    def test_a_link_in_the_way_is_replaced_and_not_followed(self, drop: DirectoryDrop, tmp_path: pathlib.Path) -> None:
        (tmp_path / "victim").write_bytes(b"untouched")
        (tmp_path / "a.claw").symlink_to(tmp_path / "victim")
        drop.put("a.claw", b"one")
        assert (tmp_path / "victim").read_bytes() == b"untouched"
        assert drop.get("a.claw") == b"one"

    @pytest.mark.parametrize("name", ["../a.claw", "b/a.claw", "", "."])
    def test_a_name_leads_nowhere_else(self, drop: DirectoryDrop, name: str) -> None:
        with pytest.raises(PersonalError) as refused:
            drop.put(name, b"one")
        assert refused.value.code == "CC-DROP"

    def test_a_folder_that_is_not_there(self, tmp_path: pathlib.Path) -> None:
        drop = DirectoryDrop(tmp_path / "none")
        for call in (drop.list, lambda: drop.put("a.claw", b"")):
            with pytest.raises(PersonalError) as refused:
                call()
            assert refused.value.code == "CC-DROP"
        assert drop.get("a.claw") == b""

    @pytest.mark.skipif(sys.platform != "linux", reason="a device that is always full")
    def test_a_put_that_fails_leaves_nothing(self, tmp_path: pathlib.Path) -> None:
        drop = DirectoryDrop(tmp_path)
        (tmp_path / "a.claw").mkdir()
        (tmp_path / "a.claw" / "inside").touch()
        with pytest.raises(PersonalError):
            drop.put("a.claw", b"one")
        assert [path.name for path in tmp_path.iterdir()] == ["a.claw"]

    def test_what_was_left_behind_is_swept_away_and_nothing_else(
        self, drop: DirectoryDrop, tmp_path: pathlib.Path
    ) -> None:
        mine = names_of(bytes(16)).hello
        temporary = f".{mine}.01234567.tmp"
        others = ["notes.txt", "default.sec", "short.claw", f"{mine}.bak"]
        for name in [mine, temporary, *others]:
            (tmp_path / name).touch()
        drop.sweep()
        assert len(drop.list()) == 6
        drop.sweep(now_unix=time.time() + KEPT_SECONDS + 10)
        assert sorted(drop.list()) == sorted(others)


class TestNames:
    def test_names_depend_on_the_mailbox_and_on_nothing_else(self) -> None:
        names = [*names_of(bytes(16)), *names_of(bytes(15) + b"\1")]
        assert len({name[:8] for name in names}) == 4
        assert names_of(bytes(16)) == tuple(names[:2])
        assert {len(name) for name in names} == {len("0" * 32 + ".claw")}

    def test_conflict_copies_are_found(self) -> None:
        stem = "0" * 32
        made = [
            f"{stem}.sync-conflict-20260101-120000-ABCDEFG.claw",
            f"{stem} (conflicted copy 2026-01-01).claw",
            f"{stem}.claw",
        ]
        found = copies([*made, "1" * 32 + ".claw", f".{stem}.claw.01234567.tmp"], f"{stem}.claw")
        assert found[0] == f"{stem}.claw"
        assert set(found) == set(made)

    def test_only_so_many_copies_are_looked_at(self) -> None:
        stem = "0" * 32
        assert len(copies([f"{stem}-{number}.claw" for number in range(100)], f"{stem}.claw")) == MAX_COPIES


def test_the_wait_grows_to_its_bound_and_begins_anew() -> None:
    backoff = Backoff()
    waits = [backoff.take() for _ in range(20)]
    assert waits[0] == FIRST_WAIT
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT
    backoff.reset()
    assert backoff.take() == FIRST_WAIT


class TestPosts:
    def test_a_drop_post_brings_whatever_may_be_the_answer_and_cleans_up(
        self, drop: DirectoryDrop, tmp_path: pathlib.Path
    ) -> None:
        post, names = DropPost(drop, bytes(16)), names_of(bytes(16))
        post.send(b"hello")
        assert drop.get(names.hello) == b"hello"
        assert list(post.receive()) == []
        drop.put(names.welcome, b"welcome")
        (tmp_path / names.welcome.replace(".claw", " (copy).claw")).write_bytes(b"another")
        (tmp_path / "notes.txt").touch()
        assert sorted(post.receive()) == [b"another", b"welcome"]
        post.finish()
        assert drop.list() == ["notes.txt"]

    def test_a_post_that_sent_nothing_removes_nothing(self, drop: DirectoryDrop) -> None:
        drop.put(names_of(bytes(16)).hello, b"of another process")
        DropPost(drop, bytes(16)).finish()
        assert len(drop.list()) == 1

    def test_files_by_hand(self, tmp_path: pathlib.Path) -> None:
        hello, welcome = tmp_path / "hello.claw", tmp_path / "welcome.claw"
        post = HandPost(hello, welcome)
        post.send(b"hello")
        assert hello.read_bytes() == b"hello"
        assert "clawchat-server answer hello.claw -o welcome.claw" in post.instructions
        assert list(post.receive()) == [b""]
        welcome.write_bytes(b"welcome")
        assert list(post.receive()) == [b"welcome"]
        post.finish()
        assert not hello.exists()
        assert welcome.exists()
