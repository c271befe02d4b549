"""scripts/install_server.sh on a copy of this machine: what it puts where, twice, and away again."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.operations.machine import INSTALL, in_copy

# Every path of ours with its kind and mode, its owner and its group.
LIST: Final = r"""
find /etc/clawchat* /var/lib/clawchat* /etc/systemd/system/clawchat* /usr/local/bin/clawchat* \
    /etc/systemd/system/multi-user.target.wants/clawchat* /opt/clawchat -maxdepth 2 -not -path '/opt/clawchat/*' \
    -printf '%M %u:%g %p\n' 2>/dev/null | sort -k 3 || true
"""

pytestmark = pytest.mark.timeout(300)


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(INSTALL), *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


class TestWithoutDoingAnything:
    def test_a_dry_run_says_what_it_would_do(self) -> None:
        told = script("--dry-run")
        assert told.returncode == 0, told.stderr
        for part in ("useradd --system", "/opt/clawchat", "/etc/clawchat", "enable clawchat-server.service"):
            assert part in told.stdout
        assert not Path("/opt/clawchat").exists()

    def test_a_dry_run_of_a_relay_is_about_the_relay(self) -> None:
        told = script("--relay", "--dry-run").stdout
        assert "/var/lib/clawchat-relay" in told
        assert " init" not in told

    def test_a_word_too_many_is_told(self) -> None:
        told = script("--uninstal")
        assert told.returncode == 1
        assert "unknown option --uninstal" in told.stderr
        assert "usage:" in told.stderr

    def test_a_wheel_that_is_not_there_is_told(self) -> None:
        told = script("--from", "nowhere.whl", "--dry-run")
        assert told.returncode == 1
        assert "nowhere.whl" in told.stderr

    def test_the_shell_has_nothing_to_complain_about(self) -> None:
        if subprocess.run(["which", "shellcheck"], check=False, capture_output=True).returncode:
            pytest.skip("shellcheck is not here")
        told = subprocess.run(["shellcheck", "-x", str(INSTALL)], check=False, capture_output=True, text=True)
        assert told.stdout == ""


class TestOnACopyOfThisMachine:
    def test_it_installs_with_the_right_owners_and_modes_and_again_without_a_change(self, tmp_path: Path) -> None:
        told = in_copy(
            tmp_path / "scratch",
            f"""
            {INSTALL} >&2
            {LIST}
            getent passwd clawchat
            su -s /bin/sh nobody -c 'clawchat-server status' >&2 && echo 'anybody may ask'
            clawchat-server config check --json | head -c 100; echo
            ls /usr/local/share/man/man1/clawchat-server-invite.1
            find /opt/clawchat -perm /o+w -not -type l
            sum() {{ cat /var/lib/clawchat/security/bootstrap.key /etc/clawchat/server.yaml | sha256sum; }}
            echo '# mine' >>/etc/clawchat/server.yaml
            before=$(sum)
            {INSTALL} >&2
            [ "$before" = "$(sum)" ] && echo 'nothing lost'
            {LIST}
            """,
        )
        assert told.returncode == 0, told.stderr
        lines = told.stdout.splitlines()
        expected = [
            "drwxr-x--- root:clawchat /etc/clawchat",
            "-rw-r----- root:clawchat /etc/clawchat/server.yaml",
            "-rw-r--r-- root:root /etc/systemd/system/clawchat-server.service",
            "lrwxrwxrwx root:root /etc/systemd/system/multi-user.target.wants/clawchat-server.service",
            "drwxr-xr-x root:root /opt/clawchat",
            "-rwxr-xr-x root:root /usr/local/bin/clawchat-server",
            "drwx------ clawchat:clawchat /var/lib/clawchat",
            "drwx------ clawchat:clawchat /var/lib/clawchat/security",
            "-rw------- clawchat:clawchat /var/lib/clawchat/security/bootstrap.key",
        ]
        assert [line for line in lines[: len(expected) + 1] if line in expected] == expected, told.stdout
        account = next(line for line in lines if line.startswith("clawchat:"))
        assert account.endswith(":/var/lib/clawchat:/usr/sbin/nologin")
        assert "anybody may ask" not in lines
        assert "only root and clawchat may do this" in told.stderr
        assert "/usr/local/share/man/man1/clawchat-server-invite.1" in lines
        assert not [line for line in lines if line.startswith("/opt/clawchat")]
        again = lines[lines.index("nothing lost") + 1 :]
        assert [line for line in again if line in expected] == expected

    def test_what_is_uninstalled_leaves_the_secrets_and_what_is_purged_nothing(self, tmp_path: Path) -> None:
        told = in_copy(
            tmp_path / "scratch",
            f"""
            {INSTALL} >&2
            {INSTALL} --relay >&2
            {INSTALL} --uninstall >&2
            {LIST}
            echo ---
            {INSTALL} --relay --uninstall --purge >&2
            {LIST}
            getent passwd clawchat-relay || echo 'no relay'
            echo ---
            {INSTALL} --uninstall --purge >&2
            {LIST}
            ls /usr/local/share/man/man1 | grep clawchat || true
            getent passwd clawchat || echo 'no server'
            """,
        )
        assert told.returncode == 0, told.stderr
        server_gone, relay_gone, all_gone = told.stdout.split("---\n")
        assert re.search(r"/var/lib/clawchat/security/bootstrap\.key", server_gone)
        assert "clawchat-server.service" not in server_gone
        assert "/opt/clawchat\n" in server_gone
        assert "/etc/systemd/system/clawchat-relay.service" in server_gone
        assert "relay" not in relay_gone.replace("no relay", "")
        assert "/opt/clawchat" not in relay_gone
        assert "/var/lib/clawchat\n" in relay_gone
        assert all_gone == "no server\n"
