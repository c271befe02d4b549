"""A copy of this machine to install things on: its file system under an overlay, and systemd if there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import require

HERE: Final = Path(__file__).parent
CHECKOUT: Final = HERE.parents[1]
INSTALL: Final = CHECKOUT / "scripts" / "install_server.sh"
UNITS: Final = CHECKOUT / "scripts" / "systemd"
# An installation downloads packages.
PATIENCE: Final = 300.0


def missing_for_copies() -> str | None:
    """Name what this machine lacks to copy it, None if nothing."""
    if not sys.platform.startswith("linux"):
        return "Linux"
    if not Path("/etc/debian_version").exists():
        return "Debian"
    if os.geteuid() != 0:
        return "root"
    return None if shutil.which("systemctl") else "systemd's commands"


def in_copy(scratch: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in a copy of this machine, where nothing it does lasts."""
    require("a copy of this machine", missing_for_copies())
    scratch.mkdir(exist_ok=True)
    return subprocess.run(
        ["unshare", "--mount", "sh", str(HERE / "chroot.sh"), str(scratch), "sh", "-ec", f"cd /\n{script}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )


def boot_copy(scratch: Path, prepare: str, probe: str, seconds: float) -> str:
    """Install on a copy, boot it with a real systemd that starts the service only; return what the probe prints."""
    require("a copy of this machine", missing_for_copies())
    if shutil.which("systemd-nspawn") is None:
        pytest.skip("systemd-nspawn (Debian: systemd-container) is not here")
    scratch.mkdir(exist_ok=True)
    (scratch.parent / "probe.sh").write_text(f"{probe}\nsystemctl poweroff\n", encoding="utf-8")
    told = subprocess.run(
        [
            *("timeout", "--kill-after=5", str(seconds), "unshare", "--mount", "sh"),
            *(str(HERE / "boot.sh"), str(scratch), prepare, str(scratch.parent / "probe.sh")),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )
    if "probe ends" not in told.stdout and "Failed to" in told.stderr:
        pytest.skip(f"this machine can't boot a copy of itself: {told.stderr[-300:]}")
    return told.stdout
