"""Run the laboratory without being root: in a user namespace, where we are root over networks of our own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

INSIDE: Final = "CLAWCHAT_LAB_INSIDE"
"""Set in the environment of the second start, so that there is no third one."""

# Named namespaces are files below /run, which belongs to the system's root.
_PREPARE: Final = 'mount -t tmpfs lab /run && mkdir /run/netns && exec "$@"'


def needed() -> bool:
    """Tell whether namespaces can only be had in a user namespace of our own."""
    return sys.platform == "linux" and os.geteuid() != 0 and INSIDE not in os.environ and bool(shutil.which("unshare"))


def command(arguments: Sequence[str]) -> list[str]:
    """Return the command that starts this program again with these arguments, as root of its own networks.

    All namespaces that it makes end with it.
    """
    ours = ["unshare", "--user", "--map-root-user", "--mount", "--net"]
    return [*ours, "sh", "-c", _PREPARE, "lab", sys.executable, "-m", "lab", *arguments]


def restart(arguments: Sequence[str]) -> NoReturn:
    """Become that command."""
    environment = {**os.environ, INSIDE: "1"}
    os.execvpe("unshare", command(arguments), environment)  # noqa: S606 - there is no shell to be misled
