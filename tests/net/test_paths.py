from __future__ import annotations

import pathlib

import pytest

from clawchat.net import paths
from clawchat.net.paths import Program, places

BOTH: tuple[Program, ...] = ("client", "server")


@pytest.mark.parametrize("program", BOTH)
def test_one_variable_moves_everything(program: Program, tmp_path: pathlib.Path) -> None:
    found = places(program, {paths.HOME_VARIABLE: str(tmp_path)})
    for name, place in found.rows():
        assert place.is_relative_to(tmp_path), name
    assert found.configuration_file == tmp_path / "config" / f"{program}.yaml"
    assert found.bootstrap_key == tmp_path / "config" / "bootstrap.key"


def test_both_programs_look_for_one_bootstrap_key_but_keep_their_own_state(tmp_path: pathlib.Path) -> None:
    client, server = (places(program, {paths.HOME_VARIABLE: str(tmp_path)}) for program in BOTH)
    assert client.bootstrap_key == server.bootstrap_key
    assert client.state != server.state


def test_a_tilde_is_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert places("client", {paths.HOME_VARIABLE: "~/claw"}).state == tmp_path / "claw" / "state" / "client"


def test_a_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert places("client", {paths.HOME_VARIABLE: "here"}).runtime == tmp_path / "here" / "run"


def test_a_unit_of_systemd_says_where_the_server_keeps_things() -> None:
    unit = {
        "CONFIGURATION_DIRECTORY": "/etc/clawchat",
        "STATE_DIRECTORY": "/var/lib/clawchat:/var/lib/other",
        "RUNTIME_DIRECTORY": "/run/clawchat",
    }
    found = places("server", unit)
    assert found.configuration_file == pathlib.Path("/etc/clawchat/server.yaml")
    assert found.state == pathlib.Path("/var/lib/clawchat")
    assert found.runtime == pathlib.Path("/run/clawchat")
    assert found.security == pathlib.Path("/var/lib/clawchat/security")


def test_the_client_ignores_the_units_directories() -> None:
    assert places("client", {"STATE_DIRECTORY": "/var/lib/clawchat"}).state != pathlib.Path("/var/lib/clawchat")


@pytest.mark.parametrize("program", BOTH)
def test_without_a_login_session_sockets_are_not_in_a_shared_directory(program: Program) -> None:
    assert places(program, {}).runtime.is_relative_to(places(program, {}).state.parent)


def test_the_rows_say_what_each_program_has() -> None:
    assert "downloads" in dict(places("client", {}).rows())
    assert "security files" in dict(places("server", {}).rows())
