"""Events as lines for a person: pairs of a style and a text, coloured or not by whoever prints them."""

from __future__ import annotations

import datetime as dt
from typing import Final, TypeAlias, assert_never

from clawchat.nat.reasons import REASONS
from clawchat.net.user_events import (
    Accepted,
    Back,
    Check,
    Closed,
    ComingBack,
    Connected,
    Connecting,
    Delivered,
    Joined,
    KeysChanged,
    Left,
    Members,
    Message,
    Missed,
    NetCheck,
    Notice,
    PathChanged,
    PingLost,
    PingSummary,
    Pong,
    Problem,
    Refused,
    Renamed,
    Rooms,
    Said,
    Silent,
    Status,
    UserEvent,
    Welcomed,
)
from client.outbox import Text

Fragments: TypeAlias = list[tuple[str, str]]

# The styles a line may use; a screen maps each to what it can show.
STYLES: Final = {
    "": "",
    "time": "ansibrightblack",
    "name": "bold ansicyan",
    "me": "bold ansigreen",
    "info": "ansibrightblack",
    "good": "ansigreen",
    "warn": "ansiyellow",
    "bad": "bold ansired",
    "words": "bold",
}

MARK: Final = "· "
"""What a line begins with that nobody said."""

QUOTE_LENGTH: Final = 40

# Characters that turn the direction of a line could make a name or a text read as another one.
_DIRECTION: Final = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_MOVES: Final = {
    **dict.fromkeys(("direct", "at-once", "punched", "guessed"), ""),
    "roamed": "its address changed",
    "hopped": "a new port",
    "suspect": "the direct path fell silent",
    "relay-changed": "another one: the relay before fell silent",
}
_USUAL_LEAVES: Final = frozenset({"", "left"})
_REFUSALS: Final = {
    "not-in-room": "you are not in that room",
    "nobody-of-that-name": "there is nobody of that name",
    "name-taken": "somebody else has that name",
    "full": "the server takes no more",
    "no-such-room": "there is no such room",
}


def describe(event: UserEvent, *, me: str = "", room: str = "") -> Fragments | None:  # noqa: C901, PLR0911, PLR0912 - a table
    """Say what happened, seen by ``me`` who talks in ``room``; None for what is shown elsewhere.

    The text has no control characters but newlines, whatever the peer sent.
    """
    match event:
        case Connecting():
            ways = "1 address" if event.candidates == 1 else f"{event.candidates} addresses"
            if event.relays:
                ways += ", 1 relay" if event.relays == 1 else f", {event.relays} relays"
            return _info(f"connecting to {event.server} ({ways}, for at most {event.timeout:g} s) …")
        case Connected():
            return [
                ("good", f"connected to {safe(event.server)}"),
                ("info", f" in {event.seconds:.1f} s over {safe(event.path)}\n"),
                ("", "safety words: "),
                ("words", safe(event.words)),
                ("info", "  (the other end must see the same)"),
            ]
        case Welcomed():
            return _info(f"you are {event.name}")
        case Joined(members=tuple() as members):
            others = [name for name in members if name != me]
            return _info(f"you are in #{event.room} with {_people(others)}")
        case Joined():
            return _info(f"{event.name} joined #{event.room}")
        case Left():
            return _info(f"{event.name} left #{event.room}" + ("" if event.why in _USUAL_LEAVES else f" ({event.why})"))
        case Renamed():
            return _info(f"{event.old} is now {event.new}")
        case Message():
            return _message(event, me=me, room=room)
        case Members():
            return _info(f"in #{event.room}: {_people(event.names)}")
        case Rooms():
            listed = (f"#{name} ({count})" for name, count in zip(event.names, event.counts, strict=False))
            return _info("rooms: " + ", ".join(listed))
        case Refused():
            return _warn(f"not done: {_REFUSALS.get(event.reason, event.reason)}")
        case Missed():
            return _warn(f"{event.count} messages to you were left out, because this end was too slow")
        case PathChanged():
            why = _MOVES.get(event.why, event.why)
            return _info(f"now over {event.path}" + (f" ({why})" if why else ""))
        case KeysChanged():
            return _info(f"new keys (epoch {event.epoch})")
        case Silent():
            return _warn(f"no answer for {event.seconds:.0f} s, still trying")
        case ComingBack():
            return _warn(f"{event.cause}; trying to come back for {_span(event.seconds)}; what you say is kept")
        case Back():
            return [("good", f"back after {event.seconds:.0f} s")]
        case Pong():
            why = f" (not direct: {event.not_direct})" if event.not_direct else ""
            return _info(f"answer {event.sequence} in {event.rtt_ms:.2f} ms over {event.path}{why}")
        case PingLost():
            return _warn(f"no answer to ping {event.sequence}")
        case PingSummary():
            return _info(_summary(event))
        case Status():
            return _info(_status(event))
        case NetCheck():
            return _info(f"the network is {event.reach}: {event.meaning}")
        case Check():
            return _info(f"{event.outcome}: {event.name}: {event.found}")
        case Notice():
            return _info(event.text)
        case Closed():
            return _info(_farewell(event))
        case Said() | Accepted() | Delivered() | Problem():
            return None
        case _:
            assert_never(event)


def own_text(text: Text, *, me: str, room: str, at: float) -> Fragments:
    """Show a text of ours with its tick; ``at`` is when it was said, in Unix seconds."""
    where = f" → {text.said.to}" if text.said.to else f" #{text.said.room}" if text.said.room != room else ""
    style = {"…": "warn", "✗": "bad"}.get(text.tick.value, "good")
    return [
        ("time", clock(at)),
        ("me", f" {safe(me)}{safe(where)}: "),
        ("", indented(text.said.text)),
        (style, f" {text.tick.value}"),
    ]


def plain(fragments: Fragments) -> str:
    """Give the text of a line without its styles."""
    return "".join(text for _, text in fragments)


def safe(text: str) -> str:
    """Keep a text from anything but being read: no control characters, no change of direction."""
    shown = "".join("�" if ord(c) < ord(" ") or 0x7F <= ord(c) < 0xA0 else c for c in text)  # noqa: PLR2004 - C0, DEL, C1
    return shown.translate(_DIRECTION)


def indented(text: str) -> str:
    """Make a text safe that may have several lines; further lines are set in, so that none looks like another's."""
    return "\n    ".join(safe(line.replace("\t", "    ")) for line in text.splitlines())


def shortened(text: str) -> str:
    """Quote the beginning of a text on one line."""
    line = safe(" ".join(text.split()))
    return f"“{line}”" if len(line) <= QUOTE_LENGTH else f"“{line[: QUOTE_LENGTH - 1]}…”"


def clock(at: float) -> str:
    """Show a time of day in this machine's zone; a time that no calendar has is shown as unknown."""
    try:
        return dt.datetime.fromtimestamp(at, tz=dt.UTC).astimezone().strftime("%H:%M")
    except (ValueError, OverflowError, OSError):
        return "--:--"


def _message(event: Message, *, me: str, room: str) -> Fragments:
    where = " → you" if event.to else f" #{event.room}" if event.room != room else ""
    style = "me" if event.sender == me else "name"
    body = indented(event.text)
    return [
        ("time", clock(event.at)),
        (style, f" {safe(event.sender)}{safe(where)}: "),
        ("info" if event.past else "", body),
    ]


def _info(text: str) -> Fragments:
    return [("info", f"{MARK}{_lines(text)}")]


def _warn(text: str) -> Fragments:
    return [("warn", f"! {_lines(text)}")]


def _lines(text: str) -> str:
    return "\n".join(map(safe, text.splitlines()))


def _people(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names) if names else "nobody else"


def _summary(event: PingSummary) -> str:
    lost = 100 * (event.sent - event.answered) / event.sent if event.sent else 0.0
    line = f"{event.sent} sent, {event.answered} answered, {lost:.0f} % lost"
    if event.min_ms is None or event.mean_ms is None or event.max_ms is None:
        return line
    return f"{line}; min/mean/max {event.min_ms:.2f}/{event.mean_ms:.2f}/{event.max_ms:.2f} ms"


def _status(event: Status) -> str:
    rtt = "?" if event.rtt_ms is None else f"{event.rtt_ms:.1f} ms"
    loss = "" if event.loss is None else f", {100 * event.loss:.1f} % lost"
    rows = [f"{event.server}: {event.state} for {_span(event.age)} (process {event.pid})"]
    if event.path:
        rows.append(f"  path          {event.path}, round trip {rtt}{loss}")
    if event.not_direct:
        meaning = REASONS.get(event.not_direct)  # type: ignore[call-overload] # a StrEnum's members are found by text
        rows.append(f"  not direct    {meaning.cause if meaning else event.not_direct}")
        if meaning and meaning.action:
            rows.append(f"                {meaning.action}")
    if event.path:
        rows.append(f"  keys          epoch {event.epoch}, {_span(event.key_age)} old")
    if event.words:
        rows.append(f"  safety words  {event.words}")
    if event.name:
        rows.append(f"  chat          {event.name} in #{event.room}, {event.sent} sent, {event.delivered} delivered")
    return "\n".join(rows)


def _farewell(event: Closed) -> str:
    reason = f" ({event.reason})" if event.reason else ""
    return f"closed{reason}: {event.sent} sent, {event.accepted} accepted, {event.delivered} delivered"


def _span(seconds: float) -> str:
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
