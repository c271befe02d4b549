"""The keys of the section ``metrics``, the same in server.yaml and relay.yaml."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass
from typing import Final

from clawchat.net.config_schema import between, option

TEXTFILE_SUFFIX: Final = ".prom"


def check_textfile(value: pathlib.Path | None) -> str | None:
    """Complain about a name that node_exporter passes over."""
    if value is None or value.suffix == TEXTFILE_SUFFIX:
        return None
    return f"must end in {TEXTFILE_SUFFIX}, or node_exporter does not read it, not {value.name!r}"


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where figures for Prometheus go; nowhere unless it is named."""

    textfile: pathlib.Path | None = option(
        "a file ending in .prom for node_exporter's textfile collector; anybody may read it",
        default=None,
        check=check_textfile,
    )
    socket: pathlib.Path | None = option("a unix socket that answers HTTP, for this user and its group", default=None)
    port: int | None = option("a TCP port that answers HTTP, on 127.0.0.1 alone", default=None, check=between(1, 65535))
    interval: float = option(
        "seconds between two self-tests, each of which brings all figures up to date",
        default=15.0,
        check=between(1, 3600),
    )
