"""What packets carried besides stream bytes, kept until their fate is known."""

from __future__ import annotations

from typing import NamedTuple

from clawchat.values.address import Path


class AckSent(NamedTuple):
    """A packet carried an ACK that reported up to ``largest``."""

    largest: int


class ControlSent(NamedTuple):
    """A packet carried a control frame that must arrive."""

    frame: bytes


class Question:
    """A ping of the application's: asked again when it seems lost, answered once."""

    __slots__ = ("answered", "token")

    def __init__(self, token: int) -> None:
        self.token = token
        self.answered = False


class PingSent(NamedTuple):
    """A packet asked the application's question, at ``sent_at``."""

    question: Question
    sent_at: float


class ProbeSent(NamedTuple):
    """A packet was an MTU probe of ``size`` bytes along ``path``."""

    size: int
    path: Path
