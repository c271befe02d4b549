from __future__ import annotations

import os
import pathlib
import shutil
import time

import pytest

from clawchat.crypto.bootstrap import Bootstrap, Kdf, KeyFile, Passphrase
from clawchat.crypto.credential import Credential, make_slot
from clawchat.crypto.secfile import seal_file
from clawchat.net.files import private_directory, write_private
from clawchat.net.paths import Places, places
from clawchat.values.address import Address
from clawchat.values.errors import SecurityFileError
from client.opening import Opener
from client.returns import KnownServers, Notes
from client.used import KEPT_SECONDS, UsedFiles

NOW = 1_700_000_000
KEY = KeyFile(bytes(range(32)))
WORDS = Passphrase("correct horse")
QUICK = Kdf("argon2id", {"iterations": 1, "lanes": 1, "memory_kib": 128})


@pytest.fixture
def found(tmp_path: pathlib.Path) -> Places:
    return places("client", {"CLAWCHAT_HOME": str(tmp_path / "home")})


@pytest.fixture
def handed(tmp_path: pathlib.Path) -> pathlib.Path:
    return private_directory(tmp_path / "handed")


def make_credential(timestamp: int = NOW) -> Credential:
    return make_slot(
        os.urandom,
        name="home",
        hello_header_key=bytes(32),
        candidates=[Address("203.0.113.1", 5000)],
        relays=(),
        timestamp=timestamp,
        validity=660,
    ).credential


def seal(directory: pathlib.Path, bootstrap: Bootstrap, credential: Credential | None = None) -> pathlib.Path:
    kdf = QUICK if isinstance(bootstrap, Passphrase) else None
    write_private(directory / "home.sec", seal_file(credential or make_credential(), bootstrap, os.urandom, kdf))
    return directory / "home.sec"


def write_key(file: pathlib.Path, key: KeyFile = KEY) -> pathlib.Path:
    private_directory(file.parent)
    write_private(file, bytes(key.key))
    return file


def refusal(opener: Opener, what: object, now: float = NOW) -> SecurityFileError:
    with pytest.raises(SecurityFileError) as caught:
        opener.open(str(what), now_unix=now)
    return caught.value


@pytest.mark.parametrize("place", ["beside", "of its name", "configuration", "given"])
def test_the_key_is_found(place: str, found: Places, handed: pathlib.Path, tmp_path: pathlib.Path) -> None:
    file = seal(handed, KEY)
    where = {
        "beside": handed / "bootstrap.key",
        "of its name": handed / "home.key",
        "configuration": found.bootstrap_key,
        "given": tmp_path / "elsewhere" / "k",
    }[place]
    write_key(where)
    opened = Opener(found, where if place == "given" else None).open(str(file), now_unix=NOW)
    assert opened.credential.name == "home"
    assert opened.notes.key_place == where
    assert opened.notes.token
    assert not opened.back


def test_a_wrong_key_beside_the_file_does_not_hide_the_right_one(found: Places, handed: pathlib.Path) -> None:
    file = seal(handed, KEY)
    write_key(handed / "bootstrap.key", KeyFile(bytes(32)))
    write_key(found.bootstrap_key)
    assert Opener(found).open(str(file), now_unix=NOW).notes.key_place == found.bootstrap_key
    found.bootstrap_key.unlink()
    assert refusal(Opener(found), file).code == "CC-PASSPHRASE"


def test_without_a_key_the_places_are_named(found: Places, handed: pathlib.Path) -> None:
    error = refusal(Opener(found), seal(handed, KEY))
    assert error.code == "CC-BOOTSTRAP-MISSING"
    assert str(found.bootstrap_key) in error.cause
    assert "--key-file" in error.action


def test_a_person_may_mistype_a_passphrase_twice(found: Places, handed: pathlib.Path) -> None:
    answers = iter(["correct hrose", "Correct Horse", WORDS.text])
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return next(answers)

    opened = Opener(found, prompt=ask).open(str(seal(handed, WORDS)), now_unix=NOW)
    assert opened.notes.key_place is None
    assert questions == ["Passphrase of home.sec", "That isn't it. Passphrase", "That isn't it. Passphrase"]


def test_a_passphrase_that_stays_wrong(found: Places, handed: pathlib.Path) -> None:
    assert refusal(Opener(found, prompt=lambda _: "wrong"), seal(handed, WORDS)).code == "CC-PASSPHRASE"
    assert refusal(Opener(found, prompt=lambda _: ""), seal(handed, WORDS)).code == "CC-BOOTSTRAP-MISSING"
    assert refusal(Opener(found), seal(handed, WORDS)).code == "CC-BOOTSTRAP-MISSING"


def test_a_passphrase_from_a_file(found: Places, handed: pathlib.Path, tmp_path: pathlib.Path) -> None:
    words = private_directory(tmp_path / "words") / "passphrase"
    write_private(words, b"correct horse\n")
    opener = Opener(found, passphrase_file=words)
    assert opener.open(str(seal(handed, WORDS)), now_unix=NOW).bootstrap == WORDS


@pytest.mark.parametrize("data", [b"", b"hello", b"[]", b'{"header": {}}', b"\xff" * 100, b"[" * 8000])
def test_nobody_is_asked_for_the_passphrase_of_something_else(data: bytes, found: Places, handed: pathlib.Path) -> None:
    write_private(handed / "home.sec", data)
    error = refusal(Opener(found, prompt=lambda _: pytest.fail("asked")), handed / "home.sec")
    assert error.code == "CC-FILE-FORMAT"


def test_a_file_open_to_others_comes_with_the_command_that_closes_it(found: Places, handed: pathlib.Path) -> None:
    file = seal(handed, KEY)
    file.chmod(0o644)
    error = refusal(Opener(found), file)
    assert error.code == "CC-FILE-MODE"
    assert f"chmod 600 {file}" in error.action


def test_an_expired_file_is_refused_unless_the_clock_is_ignored(found: Places, handed: pathlib.Path) -> None:
    file = seal(handed, KEY)
    write_key(handed / "bootstrap.key")
    assert refusal(Opener(found), file, NOW + 3600).code == "CC-FILE-EXPIRED"
    assert Opener(found, ignore_clock=True).open(str(file), now_unix=NOW + 3600).credential.name == "home"


def test_a_used_file_is_refused_and_says_when_it_was_used(found: Places, handed: pathlib.Path) -> None:
    credential = make_credential()
    file = seal(handed, KEY, credential)
    write_key(handed / "bootstrap.key")
    UsedFiles(found.state).remember(credential)
    error = refusal(Opener(found), file)
    assert error.code == "CC-FILE-USED"
    assert time.strftime("%Y-%m-%d") in error.cause
    assert Opener(found, ignore_used=True).open(str(file), now_unix=NOW)
    other = seal(handed, KEY)
    assert Opener(found).open(str(other), now_unix=NOW)


def test_the_notes_of_used_files_name_nothing_and_do_not_pile_up(found: Places) -> None:
    used, first, second = UsedFiles(found.state), make_credential(), make_credential()
    used.remember(first)
    (note,) = (found.state / "used").iterdir()
    assert first.slot_id.hex() not in note.name
    assert note.read_bytes() == b""
    os.utime(note, (0, time.time() - KEPT_SECONDS - 60))
    used.remember(second)
    assert not note.exists()
    used.check(first)


def test_a_server_is_known_by_its_name_after_it_handed_over_a_credential(found: Places, handed: pathlib.Path) -> None:
    known, key = KnownServers(found.state), write_key(handed / "bootstrap.key")
    assert known.names() == []
    credential = make_credential()
    known.keep(credential, KEY, Notes(key, "abc"))
    assert known.names() == ["home"]
    opened = Opener(found).open("home", now_unix=NOW)
    assert opened.credential == credential
    assert opened.notes == Notes(key, "abc")
    assert opened.back
    assert known.file("home").stat().st_mode & 0o777 == 0o600
    known.forget("home")
    assert known.names() == []


def test_a_file_goes_before_a_server_of_the_same_name(
    found: Places, handed: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    KnownServers(found.state).keep(make_credential(), KEY, Notes(None, ""))
    seal(handed, KEY).rename(handed / "home")
    write_key(handed / "bootstrap.key")
    monkeypatch.chdir(handed)
    assert not Opener(found).open("home", now_unix=NOW).back


def test_a_missing_file_names_the_servers_that_are_known(found: Places) -> None:
    assert refusal(Opener(found), "homme").code == "CC-FILE-MISSING"
    KnownServers(found.state).keep(make_credential(), KEY, Notes(None, ""))
    assert "home" in refusal(Opener(found), "homme").action


def test_notes_that_can_not_be_read_are_no_notes(found: Places) -> None:
    known = KnownServers(found.state)
    known.keep(make_credential(), KEY, Notes(None, "abc"))
    write_private(found.state / "servers" / "home.json", b"[]")
    assert known.notes("home") == Notes()
    shutil.rmtree(found.state / "servers")
    assert known.notes("home") == Notes()
