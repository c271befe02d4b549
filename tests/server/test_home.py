from __future__ import annotations

import stat
from pathlib import Path

import pytest

from clawchat.values.errors import ConfigError, PersonalError
from server.home import DirectoryLock, Home, configuration_file, open_home


def test_a_directory_holds_everything(tmp_path: Path, home: Home) -> None:
    found, _ = open_home(tmp_path / "server", None)
    assert found == home
    assert found.security == tmp_path / "server" / "security"
    assert stat.S_IMODE(found.security.stat().st_mode) == 0o700


def test_a_directory_can_be_moved(tmp_path: Path, home: Home) -> None:
    home.configuration.parent.rename(tmp_path / "elsewhere")
    found, _ = open_home(tmp_path / "elsewhere", None)
    assert found.security == tmp_path / "elsewhere" / "security"


def test_without_a_word_the_platforms_places_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLAWCHAT_HOME", str(tmp_path))
    found, loaded = open_home(None, None)
    assert found.configuration == tmp_path / "config" / "server.yaml"
    assert found.security.is_relative_to(tmp_path)
    assert set(loaded.sources.values()) == {"default"}


def test_a_configuration_that_was_named_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        open_home(None, tmp_path / "server.yaml")


def test_one_server_at_most_is_meant(tmp_path: Path) -> None:
    with pytest.raises(PersonalError) as caught:
        configuration_file(tmp_path, tmp_path / "server.yaml")
    assert caught.value.code == "CC-USAGE"


def test_a_second_server_is_kept_out(home: Home) -> None:
    first, second = DirectoryLock(home), DirectoryLock(home)
    first.take()
    with pytest.raises(PersonalError) as caught:
        second.take()
    assert caught.value.code == "CC-ALREADY-RUNNING"
    first.release()
    second.take()
    second.release()
