"""Run a program's command line: whatever fails ends with its code, cause and next action, and its exit code."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence

import click
from click.shell_completion import get_completion_class

from clawchat.net.report import report
from clawchat.values.catalog import ExitCode
from clawchat.values.errors import PersonalError

DISTRIBUTION = "clawchat"
SHELLS = ("bash", "zsh", "fish")


def run_command_line(cli: click.Command, program: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code; a command that returns a number means it as one."""
    try:
        result = cli.main(arguments, prog_name=program, standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except click.ClickException as error:
        return report(_usage(error, program), program=program)
    except click.Abort:
        return report(KeyboardInterrupt(), program=program)
    except BrokenPipeError:
        # the reader of our output has gone; Python would complain once more when it flushes
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OTHER
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a person is never shown a traceback
        return report(error, program=program)
    return result if isinstance(result, int) else ExitCode.OK


def version() -> str:
    """Give the version that is installed; a checkout that nobody installed has none."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "source"


def completion_script(cli: click.Command, program: str, shell: str) -> str:
    """Write what one of SHELLS reads to complete a program's commands."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has had these three from the beginning
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    return kind(cli, {}, program, variable).source()


def _usage(error: click.ClickException, program: str) -> PersonalError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else program
    return PersonalError("CC-USAGE", error.format_message(), f"See `{path} --help`.")
