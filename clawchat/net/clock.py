"""Clocks that go on while the machine sleeps, and what to add to the loop's clock to get Unix time."""

from __future__ import annotations

import time

_SLEEPLESS = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def sleepless() -> float:
    """Return seconds of a clock that nobody sets and that counts the time a machine is suspended, too.

    The event loop's clock stands still meanwhile on Linux; what has a life in a person's minutes is timed by this.
    """
    return time.monotonic() if _SLEEPLESS is None else time.clock_gettime(_SLEEPLESS)


def unix_offset() -> float:
    """Return what the loop's clock lacks of Unix time just now: it changes when the machine sleeps or is set right."""
    return time.time() - time.monotonic()
