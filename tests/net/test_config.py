from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clawchat.net.config import as_rows, load, variable_of
from clawchat.net.config_schema import between, document, each, one_of, option, section
from clawchat.values.errors import ConfigError


@dataclass(frozen=True)
class Server:
    """Who the server is."""

    id: str = option("its name", default="home")
    port: int | None = option("UDP port", default=None, check=between(1, 65535))
    directory: Path | None = option("where things are", default=None)


@dataclass(frozen=True)
class Networking:
    """How it is reached."""

    relays: tuple[str, ...] = option(
        "relays", default=(), check=each(lambda relay: None if relay.startswith("wss:") else f"not a relay: {relay}")
    )
    detection: bool = option("find out about NATs", default=True)
    timeout: float = option("give up after", default=60.0)
    level: str = option("how much to say", default="info", check=one_of("info", "debug"))


@dataclass(frozen=True)
class Schema:
    server: Server = section(Server)
    networking: Networking = section(Networking)
    handler: tuple[str, ...] = option("a command", default=())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.yaml"


def read(file: Path, text: str, **environ: str) -> Schema:
    file.write_text(text, encoding="utf-8")
    return load(Schema, file, environ=environ).value


def refusal(file: Path, text: str, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(file, text, **environ)
    return caught.value


@pytest.mark.parametrize("text", ["", "# only a comment\n", "server:\n", "null\n"])
def test_an_empty_file_is_all_defaults(file: Path, text: str) -> None:
    assert read(file, text) == Schema()


def test_no_file_is_all_defaults(file: Path) -> None:
    assert load(Schema, file, environ={}).value == load(Schema, None, environ={}).value == Schema()


def test_a_file_sets_values(file: Path) -> None:
    text = "server: {id: attic, port: 5000}\nnetworking:\n  relays: ['wss://r']\n  timeout: 3\nhandler: [bot, -v]\n"
    assert read(file, text) == Schema(
        Server("attic", 5000), Networking(("wss://r",), timeout=3.0), handler=("bot", "-v")
    )


def test_the_order_is_flag_environment_file_default(file: Path) -> None:
    file.write_text("server: {id: f, port: 1}\nnetworking: {level: debug}\n", encoding="utf-8")
    environ = {"CLAWCHAT_SERVER_ID": "e", "CLAWCHAT_SERVER_PORT": "2"}
    loaded = load(Schema, file, flags={"server.port": 3, "networking.level": None}, environ=environ)
    assert loaded.value.server == Server("e", 3)
    assert {key: source for key, source in loaded.sources.items() if source != "default"} == {
        "server.id": "CLAWCHAT_SERVER_ID",
        "server.port": "flag",
        "networking.level": f"{file}:2",
    }


def test_rows_list_every_key(file: Path) -> None:
    loaded = load(Schema, file, environ={"CLAWCHAT_HANDLER": "bot"})
    assert list(as_rows(Schema, loaded))[-1] == ("handler", ("bot",), "CLAWCHAT_HANDLER")
    assert len(list(as_rows(Schema, loaded))) == 8


def test_a_relative_path_starts_at_the_file(file: Path) -> None:
    assert read(file, "server: {directory: keys}\n").server.directory == file.parent / "keys"


@pytest.mark.parametrize(
    ("text", "key", "line", "column"),
    [
        ("server: {prot: 5000}\n", "server.prot", 1, 10),
        ("server:\n  id: a\nnetwroking:\n  level: info\n", "netwroking", 3, 1),
        ("server:\n  id: a\n  id: b\n", "id", 3, 3),
        ("server:\n  port: high\n", "server.port", 2, 9),
        ("server:\n  port: 70000\n", "server.port", 2, 9),
        ("server:\n  port: true\n", "server.port", 2, 9),
        ("server:\n  id: 12\n", "server.id", 2, 7),
        ("server:\n  id: null\n", "server.id", 2, 7),
        ("server: attic\n", "server", 1, 9),
        ("server: [attic]\n", "server", 1, 9),
        ("networking:\n  relays: wss://r\n", "networking.relays", 2, 11),
        ("networking:\n  relays: [1]\n", "networking.relays", 2, 11),
        ("networking:\n  relays: ['http://x']\n", "networking.relays", 2, 11),
        ("networking:\n  level: loud\n", "networking.level", 2, 10),
        ("networking:\n  detection: 2024-13-45\n", "networking.detection", 2, 14),
        ("just text\n", "", 1, 1),
        ("server: {id: a\n", "", 2, 1),
        ("server:\n\tid: a\n", "", 2, 1),
    ],
)
def test_a_mistake_has_a_place(file: Path, text: str, key: str, line: int, column: int) -> None:
    error = refusal(file, text)
    assert (error.key, error.line, error.column) == (key, line, column)
    assert error.cause.startswith(f"{file}:{line}:{column}: ")
    assert error.code == "CC-CONFIG"


def test_an_unknown_key_names_the_nearest(file: Path) -> None:
    error = refusal(file, "server: {prot: 5000}\n")
    assert "did you mean 'port'?" in error.cause
    assert error.action == "Write 'port'."


def test_an_unknown_key_near_nothing_lists_all(file: Path) -> None:
    assert refusal(file, "zzz: 1\n").action == "Valid keys here: server, networking, handler."


@pytest.mark.parametrize(
    "text", ["&a [*a]", "server: &a {id: *a}", "!!python/object:os.system {}", "server: !x {id: a}"]
)
def test_tricks_of_yaml_are_refused(file: Path, text: str) -> None:
    assert refusal(file, text).file == str(file)


@given(st.text(max_size=60))
def test_any_text_is_a_configuration_or_a_config_error(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: __import__("io").BytesIO(text.encode(errors="replace")))
        patch.setattr(Path, "exists", lambda _: True)
        try:
            load(Schema, Path("any.yaml"), environ={})
        except ConfigError:
            return


def test_a_file_that_is_no_text_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00server")
    with pytest.raises(ConfigError):
        load(Schema, file, environ={})


def test_a_huge_file_is_refused(file: Path) -> None:
    assert "too large" in refusal(file, "#" * 300_000).cause


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load(Schema, tmp_path, environ={})


def test_a_variable_is_named_after_its_key() -> None:
    assert variable_of("server.port") == "CLAWCHAT_SERVER_PORT"


@pytest.mark.parametrize(("text", "port"), [("7", 7), ("null", None), ("", None)])
def test_a_variable_may_unset(file: Path, text: str, port: int | None) -> None:
    assert read(file, "server: {port: 9}\n", CLAWCHAT_SERVER_PORT=text).server.port == port


def test_a_variable_of_text_is_taken_as_it_stands(file: Path) -> None:
    assert read(file, "", CLAWCHAT_SERVER_ID="yes: no").server.id == "yes: no"


@pytest.mark.parametrize("text", ["wss://a, wss://b", "['wss://a', 'wss://b']"])
def test_a_variable_may_be_a_list(file: Path, text: str) -> None:
    assert read(file, "", CLAWCHAT_NETWORKING_RELAYS=text).networking.relays == ("wss://a", "wss://b")


@pytest.mark.parametrize("text", ["high", "0", "{", "1.5"])
def test_a_wrong_variable_is_named(file: Path, text: str) -> None:
    assert refusal(file, "", CLAWCHAT_SERVER_PORT=text).cause.startswith("CLAWCHAT_SERVER_PORT: server.port: ")


def test_a_wrong_flag_is_named(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"flag: server\.port: "):
        load(Schema, file, flags={"server.port": 0}, environ={})


def test_the_documented_file_says_the_defaults(file: Path) -> None:
    text = document(Schema, heading="A heading.\nIn two lines.")
    assert read(file, text) == Schema()
    assert text.startswith("# A heading.\n# In two lines.\n")
    assert "# Who the server is.\nserver:\n  # its name\n  id: home\n  # UDP port\n  port: null\n" in text


def test_the_documented_file_carries_overrides(file: Path) -> None:
    text = document(Schema, {"server.id": "a: b # c", "server.directory": Path("keys"), "handler": ("x y", "'")})
    read_back = read(file, text)
    assert read_back.server == Server("a: b # c", None, file.parent / "keys")
    assert read_back.handler == ("x y", "'")
    assert yaml.safe_load(text)["networking"]["relays"] == []
