"""A process whose memory is private: no core, and nothing for others of the same user to read."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks prctl(2)")

ASK = """
import ctypes, resource
from clawchat.net.hardening import keep_memory_private
{call}
PR_GET_DUMPABLE = 3
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE), resource.getrlimit(resource.RLIMIT_CORE)[0])
"""


def ask(call: str) -> str:
    code = "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, resource.RLIM_INFINITY))\n" + ASK.format(
        call=call
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_no_core_and_not_dumpable() -> None:
    assert ask("keep_memory_private()") == "0 0"


def test_the_question_tells_the_difference() -> None:
    assert ask("") == "1 0"
