"""Files that somebody else may have written: security files, sealed state, configuration, topologies, drops."""

from __future__ import annotations

import pathlib
import tempfile
from functools import cache

from clawchat.crypto.bootstrap import KeyFile
from clawchat.crypto.sealed_log import read_log
from clawchat.crypto.secfile import decode_credential, encode_credential, open_file, open_slots
from clawchat.net.config import load
from clawchat.net.drop import copies
from clawchat.values.errors import ConfigError, SecurityFileError
from lab.model.document import parse as parse_topology
from server.settings import Settings

KEY = KeyFile(bytes(range(32)))


def security_file(data: bytes) -> None:
    """A security file that nobody with the key made is refused, before anything costly is derived."""
    for opens in (open_file, open_slots):
        try:
            opens(data, KEY)
        except SecurityFileError:
            continue


def credential(data: bytes) -> None:
    """A credential is encoded to what decodes to it; all else is a SecurityFileError."""
    try:
        found = decode_credential(data)
    except SecurityFileError:
        return
    assert decode_credential(encode_credential(found)) == found


def sealed_log(data: bytes) -> None:
    """A journal that nobody with the key wrote is refused."""
    try:
        read_log(data, KEY, form="clawchat test")
    except SecurityFileError:
        return


@cache
def _place() -> pathlib.Path:
    return pathlib.Path(tempfile.mkdtemp(prefix="clawchat-fuzz-")) / "server.yaml"


def configuration(data: bytes) -> None:
    """A configuration is one, or a ConfigError that says where."""
    file = _place()
    file.write_bytes(data)
    try:
        load(Settings, file, environ={})
    except ConfigError:
        return


def topology(data: bytes) -> None:
    """A topology is one, or a ConfigError that says where."""
    try:
        parse_topology(data.decode("utf-8", "replace"))
    except ConfigError:
        return


def drop_names(data: bytes) -> None:
    """The copies of a file in a listing are names of the listing."""
    listing = data.decode("utf-8", "replace").split("/")
    assert set(copies(listing, "0123abcd.claw")) <= set(listing)


TARGETS = {
    "security_file": security_file,
    "credential": credential,
    "sealed_log": sealed_log,
    "configuration": configuration,
    "topology": topology,
    "drop_names": drop_names,
}
