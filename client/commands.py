"""What a person types: a text to say, or a command that begins with a slash."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, TypeAlias

from clawchat.values.errors import UsageError


@dataclass(frozen=True, slots=True)
class Say:
    """Say a text in a room (the current one when not told), or to one person alone."""

    text: str
    to: str | None = None
    room: str | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """Do what the word says; ``argument`` is empty when the command takes none."""

    word: str
    argument: str = ""


Line: TypeAlias = Say | Command

# word: (the argument as help shows it, what the command does)
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "help": ("", "show this list"),
    "who": ("[ROOM]", "show who is here"),
    "rooms": ("", "show the rooms"),
    "join": ("ROOM", "enter a room and talk there"),
    "leave": ("[ROOM]", "leave a room"),
    "to": ("NAME TEXT", "say something to one person alone"),
    "name": ("NAME", "take another name"),
    "ping": ("", "measure the round trip"),
    "rekey": ("", "change the session's keys now"),
    "hop": ("", "move to another UDP port now"),
    "compromised": ("[session]", "destroy every key and file of this server, or this session's, on both ends"),
    "status": ("", "show the session, its path and its safety words"),
    "quit": ("", "close the session and end"),
}
_ALIASES: Final = {"exit": "quit", "q": "quit", "msg": "to", "nick": "name", "list": "rooms", "?": "help"}
_NEEDS_ARGUMENT: Final = frozenset({"join", "to", "name"})


def parse_line(line: str) -> Line | None:
    """Read a line; None for an empty one.

    ``//text`` says ``/text``. Raises UsageError for a command that does not exist or lacks its argument.
    """
    line = line.strip()
    if not line.startswith("/") or line.startswith("//"):
        return Say(line.removeprefix("/") if line.startswith("//") else line) if line else None
    word, _, argument = line[1:].partition(" ")
    word = _ALIASES.get(word.lower(), word.lower())
    argument = argument.strip()
    if word not in COMMANDS:
        raise UsageError(f"there is no command /{word}; /help lists them, and //{line[1:]} says it as a text")
    if not argument and word in _NEEDS_ARGUMENT:
        raise UsageError(f"/{word} needs more: /{word} {COMMANDS[word][0]}")
    if word == "to":
        name, _, text = argument.partition(" ")
        if not text.strip():
            raise UsageError("/to needs a name and a text: /to NAME TEXT")
        return Say(text.strip(), to=name)
    return Command(word, argument)


def parse_record(line: str) -> Line | None:
    """Read a line for programs: an object with ``text`` (and ``room`` or ``to``) or ``command``, or else a text.

    Raises UsageError for anything that begins like an object and is none of these.
    """
    if not line.lstrip().startswith("{"):
        return Say(line) if line.strip() else None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError("a line that begins with { must be a JSON object") from error
    fields = {key: value for key, value in record.items() if value is not None}
    if not all(isinstance(value, str) for value in fields.values()):
        raise UsageError("the values of the object must be texts")
    if set(fields) == {"command"}:
        return parse_line("/" + fields["command"].lstrip("/"))
    if "text" not in fields or not set(fields) <= {"text", "room", "to"} or {"room", "to"} <= set(fields):
        raise UsageError('an object has "text", and "room" or "to" if wanted, or it has only "command"')
    return Say(fields["text"], fields.get("to"), fields.get("room"))


def help_text() -> str:
    """List all commands, one a line, below a heading."""
    shown = [(f"/{word} {argument}".rstrip(), does) for word, (argument, does) in COMMANDS.items()]
    width = max(len(left) for left, _ in shown)
    return "\n".join(["commands", *(f"  {left:<{width}}  {does}" for left, does in shown)])
