"""Errors: whose fault they are, and what a person can do about them.

``UsageError`` is the caller's fault and is raised at the call. ``SessionClosed`` and its kinds say how
a session ended. ``PersonalError`` and its kinds reach a person: each carries a stable code whose cause
and next action stand in ``clawchat.values.catalog``. ``BadDatagram`` is private to the receive path.
"""

from __future__ import annotations


class ClawchatError(Exception):
    """Be the root of every error of this project."""


class UsageError(ClawchatError):
    """Say that the caller broke the contract of the call."""


class BadDatagram(ClawchatError):  # noqa: N818 - it names the thing refused; it is not an error of ours
    """Refuse a datagram or a part of it; never leaves ``receive``, where it becomes a counted drop."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ProtocolViolation(ClawchatError):  # noqa: N818 - the peer's doing
    """Close the session: an authentic packet says something the protocol does not allow."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class SessionClosed(ClawchatError):  # noqa: N818 - a state, told as an exception
    """Say that the session is over; the kinds below say how it ended."""

    code = "CC-SESSION-CLOSED"


class LocallyClosed(SessionClosed):
    """This end closed the session."""


class PeerClosed(SessionClosed):
    """The peer closed the session with a code and a reason."""

    code = "CC-PEER-CLOSED"

    def __init__(self, close_code: int, reason: str) -> None:
        super().__init__(f"the peer closed the session: {reason or 'no reason given'} (code {close_code})")
        self.close_code = close_code
        self.reason = reason


class TimedOut(SessionClosed):
    """Nothing was heard from the peer for the dead-peer time."""

    code = "CC-PEER-LOST"


class HandshakeFailed(SessionClosed):
    """No handshake was completed before its deadline."""

    code = "CC-SERVER-SILENT"


class PathsExhausted(SessionClosed):
    """Every path to the peer failed."""

    code = "CC-NO-PATH"


class Compromised(SessionClosed):
    """The session's keys were destroyed on purpose; ``told`` by the peer, with ``everything`` not only those."""

    code = "CC-COMPROMISED"

    def __init__(self, *, told: bool, everything: bool) -> None:
        who = "the other end" if told else "this end"
        what = "everything" if everything else "this session"
        super().__init__(f"{who} declared the keys compromised, and {what} was destroyed")
        self.told = told
        self.everything = everything


class PersonalError(ClawchatError):
    """An error that a person reads: a code of the catalog, a cause, and what to do next.

    ``cause`` says what happened this time; ``action`` is the exact next step, and defaults to the
    catalog's. ``code`` must stand in the catalog.
    """

    code: str

    def __init__(self, code: str, cause: str, action: str = "") -> None:
        super().__init__(cause)
        self.code = code
        self.cause = cause
        self.action = action


class SecurityFileError(PersonalError):
    """A security file, key file or passphrase can't be used; ``action`` is the exact mend."""


class ConfigError(PersonalError):
    """A configuration file is wrong at ``file``, ``line``, ``column`` (1-based), under ``key``."""

    def __init__(  # noqa: PLR0913 - a place in a file takes four words
        self, cause: str, action: str = "", *, file: str = "", line: int = 0, column: int = 0, key: str = ""
    ) -> None:
        place = f"{file}:{line}:{column}: " if line else f"{file}: " if file else ""
        super().__init__("CC-CONFIG", place + cause, action)
        self.file = file
        self.line = line
        self.column = column
        self.key = key
