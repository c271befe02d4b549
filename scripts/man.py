#!/usr/bin/env python3
"""Write the manual pages of a program, one for each command, out of the same source as --help.

Run it with a Python that has ``click-man`` and ClawChat: ``.venv/bin/python scripts/man.py DIRECTORY [PROGRAM...]``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click
from click_man.core import write_man_pages

from clawchat.net.command_line import version
from client.cli import cli as client_commands
from server.cli import cli as server_commands

PROGRAMS: Final[dict[str, click.Group]] = {"clawchat": client_commands, "clawchat-server": server_commands}


def main() -> int:
    """Write the pages of the programs named, or of both."""
    if len(sys.argv) == 1 or not set(sys.argv[2:]) <= set(PROGRAMS):
        print(f"usage: scripts/man.py DIRECTORY [{'|'.join(PROGRAMS)}]", file=sys.stderr)
        return 2
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or PROGRAMS:
        write_man_pages(name, PROGRAMS[name], version=version(), target_dir=str(directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
