"""The log: one line for each thing that happened, JSON where no person watches, never a secret.

``log.info("session-opened", session=3)`` names the event and its fields. Bytes and whatever is called after
a secret are shown as "(hidden)", and so is anything in a text that looks like a key. Under journald each line
begins with its priority.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import IO, Any, Final

from clawchat.net.report import one_line

HIDDEN: Final = "(hidden)"
_SECRET_NAMES: Final = re.compile(
    r"secret|passphrase|password|psk|token|(^|_)key($|_)|(^|_)text($|_)|words", re.IGNORECASE
)
# 32 bytes in hexadecimal or base64: a key, whatever it is called.
_SECRET_LOOKS: Final = re.compile(
    r"(?<![0-9A-Za-z+/_-])(?:[0-9A-Fa-f]{64,}|[0-9A-Za-z+/_-]{43,}={0,2})(?![0-9A-Za-z+/_-])"
)
# A path has slashes often; a key in base64 has them seldom, every 64 characters on average.
_PATH_SLASHES: Final = 2
_FIELDS: Final = "fields"
# sd-daemon(3): the priorities of syslog(3)
_PRIORITIES: Final = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class Log:
    """Write events with fields."""

    def __init__(self, name: str = "clawchat") -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: object) -> None:
        """Tell what helps to find a mistake."""
        self._logger.debug(event, extra={_FIELDS: fields})

    def info(self, event: str, **fields: object) -> None:
        """Tell what happened."""
        self._logger.info(event, extra={_FIELDS: fields})

    def warning(self, event: str, **fields: object) -> None:
        """Tell what an operator should look at."""
        self._logger.warning(event, extra={_FIELDS: fields})

    def error(self, event: str, **fields: object) -> None:
        """Tell what failed."""
        self._logger.error(event, extra={_FIELDS: fields})


def set_up(level: str, form: str, *, stream: IO[str] | None = None, environ: Mapping[str, str] | None = None) -> None:
    """Send the log to standard error in a form: ``json``, ``text`` or ``auto``."""
    stream = stream or sys.stderr
    environ = os.environ if environ is None else environ
    as_json = form == "json" or (form == "auto" and not stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines(as_json=as_json, priorities=_is_journal(stream, environ)))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # asyncio tells of its selector and of slow callbacks; only the second is news.
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def redact(name: str, value: object) -> object:
    """Hide what must not be in a log."""
    if isinstance(value, (bytes, bytearray, memoryview)) or _SECRET_NAMES.search(name):
        return HIDDEN
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {str(key): redact(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact(name, item) for item in value]
    return _SECRET_LOOKS.sub(_hide_key, str(value))


def _hide_key(match: re.Match[str]) -> str:
    found = match.group()
    return found if found.count("/") >= _PATH_SLASHES else HIDDEN


class _Lines(logging.Formatter):
    """Make one line of a record."""

    def __init__(self, *, as_json: bool, priorities: bool) -> None:
        super().__init__()
        self._as_json = as_json
        self._priorities = priorities

    def format(self, record: logging.LogRecord) -> str:
        fields = {key: redact(key, value) for key, value in getattr(record, _FIELDS, {}).items()}
        event = record.msg if hasattr(record, _FIELDS) else "message"
        if event == "message":
            fields = {"from": record.name, "said": redact("said", record.getMessage())}
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = redact("error", f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}")
        level = record.levelname.lower()
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line = self._json(moment, level, event, fields) if self._as_json else self._text(moment, level, event, fields)
        priority = f"<{_PRIORITIES.get(record.levelno, 6)}>" if self._priorities else ""
        return priority + line

    @staticmethod
    def _json(moment: dt.datetime, level: str, event: str, fields: Mapping[str, Any]) -> str:
        line = {"time": moment.isoformat(timespec="milliseconds"), "level": level, "event": event, **fields}
        return json.dumps(line, ensure_ascii=False, default=str)

    @staticmethod
    def _text(moment: dt.datetime, level: str, event: str, fields: Mapping[str, Any]) -> str:
        words = [moment.astimezone().strftime("%H:%M:%S"), f"{level:<7}", event]
        words += [f"{name}={_word(value)}" for name, value in fields.items()]
        return " ".join(words)


def _word(value: object) -> str:
    text = one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
    return json.dumps(text, ensure_ascii=False) if isinstance(value, str) and (" " in text or not text) else text


def _is_journal(stream: IO[str], environ: Mapping[str, str]) -> bool:
    """Tell whether a stream goes to the journal (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
