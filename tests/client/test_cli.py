"""The commands that need no server."""

from __future__ import annotations

import pathlib

import pytest

from clawchat.nat.reasons import REASONS
from clawchat.values.catalog import CATALOG
from tests.client.conftest import Home


def write_config(home: Home, text: str) -> pathlib.Path:
    file = home.path / "config" / "client.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_a_code_is_explained_offline(home: Home) -> None:
    result = home.run("explain", "file-mode")
    assert result.code == 0
    assert result.out.startswith("CC-FILE-MODE: ")
    assert CATALOG["CC-FILE-MODE"].long in result.out


def test_all_codes_are_listed(home: Home) -> None:
    result = home.run("explain")
    assert result.code == 0
    assert [line.split()[0] for line in result.out.splitlines()] == [*CATALOG, *(reason.value for reason in REASONS)]


def test_an_unknown_code(home: Home) -> None:
    result = home.run("explain", "CC-NONSENSE")
    assert result.code == 2
    assert "`clawchat explain` lists all of them" in result.err


def test_the_places_are_printed(home: Home) -> None:
    result = home.run("paths")
    assert result.code == 0
    assert str(home.path / "config" / "client.yaml") in result.out


def test_the_version_is_printed(home: Home) -> None:
    result = home.run("--version")
    assert result.code == 0
    assert result.out.startswith("clawchat, version ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(shell: str, home: Home) -> None:
    result = home.run("completions", shell)
    assert result.code == 0
    assert "_CLAWCHAT_COMPLETE" in result.out


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["fly"], "See `clawchat --help`"),
        (["connect", "--linger", "soon", "x.sec"], "See `clawchat connect --help`"),
        (["connect", "a.sec", "--file", "b.sec"], "Leave out `--file`"),
        (["connect"], "Give the path of a security file"),
    ],
)
def test_wrong_usage_says_what_would_be_right(arguments: list[str], advice: str, home: Home) -> None:
    result = home.run(*arguments)
    assert result.code == 2
    assert "CC-USAGE" in result.err
    assert advice in result.err


def test_without_a_command_the_help_is_shown(home: Home) -> None:
    result = home.run()
    assert result.code == 2
    assert "Commands:" in result.err


def test_a_missing_file(home: Home, tmp_path: pathlib.Path) -> None:
    result = home.run("connect", tmp_path / "none.sec")
    assert result.code == 3
    assert "CC-FILE-MISSING" in result.err


def test_the_configuration_is_shown_with_where_each_value_comes_from(home: Home) -> None:
    file = write_config(home, "client:\n  room: kitchen\n")
    home.more["CLAWCHAT_CLIENT_NAME"] = "ann"
    result = home.run("config", "check")
    assert result.code == 0
    assert result.err == ""
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in result.out.splitlines()}
    assert rows["client.room"] == f"kitchen  ({file}:2)"
    assert rows["client.name"] == "ann  (CLAWCHAT_CLIENT_NAME)"
    assert rows["networking.hole_punch_timeout"] == "60.0  (default)"


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("client:\n  rom: kitchen\n", "2:3", "room"),
        ("clients: {}\n", "1:1", "client"),
        ("client:\n  name: a b\n", "2:9", "without spaces"),
        ("networking:\n  hole_punch_timeout: never\n", "2:23", "a number"),
    ],
)
def test_a_mistake_in_the_configuration_has_a_place(text: str, place: str, hint: str, home: Home) -> None:
    file = write_config(home, text)
    result = home.run("config", "check")
    assert result.code == 3
    assert "CC-CONFIG" in result.err
    assert f"{file}:{place}" in result.err
    assert hint in result.err


def test_the_example_is_a_configuration_that_changes_nothing(home: Home, tmp_path: pathlib.Path) -> None:
    example = home.run("config", "example")
    assert example.code == 0
    file = tmp_path / "example.yaml"
    file.write_text(example.out)

    def values(*arguments: object) -> list[list[str]]:
        result = home.run("config", "check", *arguments)
        assert result.code == 0
        return [line.split()[:2] for line in result.out.splitlines()]

    assert values(file) == values()


def test_a_configuration_that_was_asked_for_must_be_there(home: Home, tmp_path: pathlib.Path) -> None:
    result = home.run("config", "check", "--config", tmp_path / "none.yaml")
    assert result.code == 3
    assert "there is no such file" in result.err


def test_a_ping_without_a_file_needs_a_running_client(home: Home) -> None:
    result = home.run("ping")
    assert result.code == 1
    assert "CC-NOT-RUNNING" in result.err
