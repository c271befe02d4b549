"""Show a person what the running server answered."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from clawchat.net.report import one_line
from clawchat.values.errors import PersonalError
from server.health import MAX_LAG_SECONDS

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 24 * HOUR
KIBI: Final = 1024.0
UNFOLDED: Final = 10_000


def as_json(value: object) -> None:
    """Print data on standard output, one line."""
    print(json.dumps(value, ensure_ascii=False))


def status(answer: Mapping[str, Any]) -> None:
    """Print the state of the server."""
    table = _grid()
    rows = [
        ("server", answer["server"]),
        ("up", f"{span(answer['uptime_seconds'])} (process {answer['pid']})"),
        ("port", f"{answer['port']} (moved {answer['port_moves']} times)" if answer["port_moves"] else answer["port"]),
        ("reachable at", ", ".join(answer["candidates"]) or "nowhere: no network address"),
        ("port mapping", answer["port_mapping"]),
        ("NAT", answer["nat"]),
        *(("relay", f"{each['name']} at {each['address']}: {_membership(each)}") for each in answer["relays"]),
        ("sessions", str(answer["sessions"])),
        ("may come back", str(answer["returning"])),
    ]
    rows += [
        (f"file {entry['name']}", f"{entry['file']} (valid for {span(entry['seconds'])})") for entry in answer["files"]
    ]
    if not answer["files"]:
        rows.append(("files", "none: `clawchat-server invite` makes one"))
    rows += [(f"room {name}", ", ".join(names) or "nobody") for name, names in answer["rooms"].items()]
    if (handler := answer["handler"]) is not None:
        rows.append(
            ("handler", f"{'running' if handler['running'] else 'not running'}, started {handler['starts']} times")
        )
    dropped = ", ".join(f"{reason} {count}" for reason, count in answer["drops"].items())
    rows += [("dropped", dropped or "nothing"), ("loop lag", f"{answer['loop_lag_ms']} ms")]
    if answer["keylog"]:
        rows.append(("KEY LOG", "every key is being written to a file"))
    for name, value in rows:
        table.add_row(name, one_line(value))
    _console().print(table)


def _membership(relay: Mapping[str, Any]) -> str:
    if not relay["joined"]:
        return "no answer"
    return "joined by WebSocket, since UDP brought no answer" if relay["websocket"] else "joined"


def relay_status(answer: Mapping[str, Any]) -> None:
    """Print the state of a relay."""
    dropped = ", ".join(f"{reason} {count}" for reason, count in answer["drops"].items())
    websocket = answer["websocket"]
    table = _grid()
    for name, value in (
        ("relay", answer["relay"]),
        ("up", f"{span(answer['uptime_seconds'])} (process {answer['pid']})"),
        ("port", answer["port"]),
        ("WebSockets", "none" if websocket is None else "{websockets} open, at {port} ({url})".format(**websocket)),
        ("reachable at", ", ".join(answer["candidates"])),
        ("file", f"{answer['file']} (valid for {span(answer['seconds'])})"),
        ("members", f"{answer['members']} with {answer['boxes']} boxes"),
        ("passed on", f"{answer['forwarded']} datagrams, {size(answer['forwarded_bytes'])}"),
        ("not passed on", f"{answer['unknown']} to nobody here, {answer['over_quota']} over quota"),
        ("dropped", dropped or "nothing"),
        ("loop lag", f"{answer['loop_lag_ms']} ms"),
    ):
        table.add_row(name, one_line(value))
    _console().print(table)


def health(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the outcome of a self-test. Raises PersonalError (CC-UNHEALTHY) with what is wrong."""
    if as_json:
        print(json.dumps(answer))
    if not answer["healthy"]:
        lag = answer["loop_lag_seconds"]
        found = [
            "" if answer["datagram"] else "no datagram comes through its socket",
            f"security files are missing: {', '.join(answer['files_missing'])}" if answer["files_missing"] else "",
            "" if answer["joinable"] else "nobody can join, as there is no live credential: `clawchat-server invite`",
            f"its event loop was {lag:.1f} s late" if lag > MAX_LAG_SECONDS else "",
        ]
        raise PersonalError("CC-UNHEALTHY", "; ".join(filter(None, found)))
    if not as_json:
        print("healthy")


def sessions(answer: Mapping[str, Any]) -> None:
    """Print who is connected."""
    found = answer["sessions"]
    if not found:
        _console().print("nobody is connected")
        return
    table = Table(box=None, pad_edge=False)
    for heading in (
        "session",
        "invited as",
        "in the chat as",
        "from",
        "for",
        "rtt",
        "loss",
        "keys",
        "sent",
        "received",
        "words",
    ):
        table.add_column(heading, overflow="fold")
    for entry in found:
        table.add_row(
            str(entry["session"]),
            one_line(entry["name"]),
            one_line(", ".join(entry["chat"])),
            entry["remote"] + (f" ({entry['not_direct']})" if entry["not_direct"] else ""),
            span(entry["seconds"]),
            f"{entry['rtt_ms']:.1f} ms",
            f"{entry['loss']:.2%}",
            f"{entry['epoch']}, {span(entry['key_age_seconds'])} old",
            size(entry["bytes_sent"]),
            size(entry["bytes_received"]),
            entry["words"],
        )
    _console().print(table)


def configuration(rows: Iterable[tuple[str, object, str]]) -> None:
    """Print every key, its value and where that came from."""
    table = _grid()
    for key, value, source in rows:
        table.add_row(
            key, json.dumps(value if isinstance(value, (int, float, type(None), list, tuple)) else str(value)), source
        )
    _console().print(table)


def span(seconds: float) -> str:
    """Write a time in the unit a person would use."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


def size(count: float) -> str:
    """Write a number of bytes in the unit a person would use."""
    for name in ("B", "KiB", "MiB"):
        if count < KIBI:
            return f"{count:.0f} {name}" if name == "B" else f"{count:.1f} {name}"
        count /= KIBI
    return f"{count:.1f} GiB"


def _grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _console() -> Console:
    """Fold lines on a terminal only; a file or a pipe gets each whole."""
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=UNFOLDED)
