"""The command line of the laboratory.

Exit codes: 0 as wished, 1 something could not be built or is missing, 2 wrong arguments or a wrong file, 3 the
laboratory is dishonest, 4 a pair of NATs did not get the verdict that is expected of it, 5 two documents
of the matrix differ, 6 a capture holds something else than ciphertext, 7 a capture is not proven.
"""

from __future__ import annotations

import sys

import click

from clawchat.values.errors import ConfigError
from lab import netns
from lab.commands.clean import clean
from lab.commands.decrypt import decrypt
from lab.commands.diff import diff
from lab.commands.gate import gate
from lab.commands.matrix import matrix
from lab.commands.plan import plan
from lab.commands.presets import presets
from lab.commands.replay import replay
from lab.commands.run import run as run_in
from lab.commands.scene import scene
from lab.commands.shared import EXIT_MISSING, EXIT_USAGE
from lab.commands.study import study
from lab.commands.sweep import sweep
from lab.commands.verify import verify
from lab.endings import clean_up_when_ended


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Build networks full of NATs on this machine, and prove that they are what they claim to be."""
    clean_up_when_ended()


# Each command is a module of lab/commands; what only its work needs, it imports when it runs.
main.add_command(presets)
main.add_command(plan)
main.add_command(run_in)
main.add_command(clean)
main.add_command(gate)
main.add_command(matrix)
main.add_command(diff)
main.add_command(verify)
main.add_command(scene)
main.add_command(decrypt)
main.add_command(replay)
main.add_command(study)
main.add_command(sweep)


def run() -> None:
    """Run the command line; what a person did wrong is told in one line."""
    try:
        main(prog_name="python -m lab")
    except ConfigError as error:
        click.echo(f"error: {error}" + (f"\nnext:  {error.action}" if error.action else ""), err=True)
        sys.exit(EXIT_USAGE)
    except (netns.NamespaceError, ValueError, TimeoutError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_MISSING)
