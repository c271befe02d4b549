"""Keep what is in this process's memory from leaving it: no core dumps, no debugger of the same user."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from types import ModuleType
from typing import Final

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows
    resource = None

PR_SET_DUMPABLE: Final = 4
"""prctl(2): a process that is not dumpable writes no core, and only the administrator may look into its memory."""


def keep_memory_private() -> None:
    """Write no core file, and on Linux let no other process of this user read our memory.

    Children that are started with exec begin with memory of their own; nothing here forks without it. Telling the
    kernel to empty pages for a child (madvise(2), MADV_WIPEONFORK) would need whole pages that hold keys and nothing
    else, and where OpenSSL's objects and Python's lie can't be chosen.
    """
    if resource is None:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
