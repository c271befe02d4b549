"""The demonstration: the shortest proof that two real programs meet through the whole protocol."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab import demo_bot


@pytest.mark.slow
def test_the_demonstration_succeeds_and_says_so_on_its_last_line(checkout: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab.demo", "--check"],
        cwd=checkout,
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("ok: 3 texts delivered and answered")
    assert list(tmp_path.iterdir()) == []


def test_the_bot_answers_everything() -> None:
    assert demo_bot.answer("abc") == "cba"
    assert demo_bot.answer(" Hello ") == demo_bot.HELP
