"""Real disks that are full or read-only, under the real programs: each has its own error, and nothing is lost."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

from tests.conftest import require
from tests.server.running import PATIENCE

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
MOUNT = 'mount -t tmpfs -o size=64k,mode=0700 none "$PLACE"'
FILL = "dd if=/dev/zero of=filler bs=1k 2>/dev/null"


def shell(script: str, place: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a mount namespace of its own, where $PLACE is a small disk."""
    missing = None if shutil.which("unshare") and os.geteuid() == 0 else "the right to mount"
    require("disks", missing)
    place.mkdir()
    return subprocess.run(
        [
            "unshare",
            "--mount",
            "sh",
            "-ec",
            f'mount -t tmpfs -o size=64k,mode=0700 none "$PLACE"; cd "$PLACE"; {script}',
        ],
        env={**os.environ, "PLACE": str(place), "PYTHONPATH": str(CHECKOUT), "SERVER": f"{sys.executable} -m server"},
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )


def test_a_full_disk_has_its_own_error(tmp_path: pathlib.Path) -> None:
    done = shell(f"{FILL} || true; $SERVER init --directory $PLACE", tmp_path / "disk")
    assert done.returncode == 1, done.stderr
    assert "CC-DISK-FULL" in done.stderr
    assert "next:" in done.stderr


def test_a_read_only_disk_has_its_own_error(tmp_path: pathlib.Path) -> None:
    done = shell("mount -o remount,ro $PLACE; $SERVER init --directory $PLACE", tmp_path / "disk")
    assert done.returncode == 3, done.stderr
    assert "CC-READ-ONLY" in done.stderr


def test_a_disk_that_fills_up_loses_no_key(tmp_path: pathlib.Path) -> None:
    script = f"""
        $SERVER init --directory $PLACE >/dev/null
        before=$(sha256sum security/bootstrap.key)
        {FILL} || true
        $SERVER run --directory $PLACE --ip 127.0.0.1 2>&1 | grep -c CC-DISK-FULL
        test "$before" = "$(sha256sum security/bootstrap.key)"
        rm filler
        timeout -s TERM 5 $SERVER run --directory $PLACE --ip 127.0.0.1 2>&1 | grep -c '"started"\\|started'
    """
    done = shell(script, tmp_path / "disk")
    assert done.returncode == 0, (done.stdout, done.stderr)
