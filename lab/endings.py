"""Ending in good order when told to."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Final

ENDINGS: Final = (signal.SIGINT, signal.SIGTERM)


def clean_up_when_ended() -> None:
    """Let SIGINT and SIGTERM end the program by an exception, so that namespaces and programs are cleaned up."""

    def leave(number: int, _: FrameType | None) -> None:
        for ending in ENDINGS:
            signal.signal(ending, signal.SIG_IGN)  # the clean-up is not to be disturbed
        sys.exit(128 + number)

    for ending in ENDINGS:
        signal.signal(ending, leave)
