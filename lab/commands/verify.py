"""``lab verify``: prove that every UDP payload of a capture is ciphertext."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Final

import click

from clawchat.crypto.keylog import KeyRing, parse
from clawchat.values.errors import ConfigError, UsageError
from lab.commands.shared import EXIT_MISSING, EXIT_REFUTED, EXIT_UNPROVEN

FILES: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


def need_scapy() -> None:
    """Say what to install where captures can't be read."""
    if importlib.util.find_spec("scapy") is None:
        raise click.ClickException("captures cannot be read here: scapy is missing; pip install -e '.[lab]'")


def load_keys(files: tuple[Path, ...]) -> KeyRing | None:
    """Read key logs; None without any. Raises ConfigError."""
    texts = []
    for file in files:
        try:
            text = file.read_text(encoding="ascii")
            parse(text)
        except (OSError, UnicodeDecodeError, UsageError) as error:
            raise ConfigError(f"it is no key log: {error}", file=str(file)) from error
        texts.append(text)
    return parse("\n".join(texts)) if files else None


@click.command()
@click.argument("captures", nargs=-1, type=FILES)
@click.option("--keylog", "keylogs", multiple=True, type=FILES, help="A key log of an end; give those of all ends.")
@click.option("--strict", is_flag=True, help="Allow nothing but our own datagrams: no STUN, no port mapping.")
@click.option("--canary", "canaries", multiple=True, type=FILES, help="A text file; none of its lines may be found.")
@click.option("--sent", multiple=True, type=FILES, help="A file that was sent; none of its bytes may be found.")
@click.option("--json", "document", type=click.Path(dir_okay=False, path_type=Path), help="Write it as JSON, too.")
@click.option("--self-test", is_flag=True, help="Show that the proof refuses what is no ciphertext, and nothing else.")
def verify(  # noqa: PLR0913 - one parameter an option
    *,
    captures: tuple[Path, ...],
    keylogs: tuple[Path, ...],
    strict: bool,
    canaries: tuple[Path, ...],
    sent: tuple[Path, ...],
    document: Path | None,
    self_test: bool,
) -> None:
    """Prove that every UDP payload of captures is ciphertext.

    Exit status 0 only when proven; 6 when something is no ciphertext, 7 when the proof is incomplete, as it is
    without a key log.
    """
    need_scapy()
    if self_test:
        _self_test()
        return
    if not captures:
        raise click.UsageError("name a capture, or use --self-test")
    from lab.verify.canaries import of_file, of_lines
    from lab.verify.proof import Outcome, prove
    from lab.verify.reading import read
    from lab.verify.report import as_json, lines, summary

    needles = [needle for file in canaries for needle in of_lines(file)]
    needles += [needle for file in sent for needle in of_file(file)]
    proof = prove(read(captures), load_keys(keylogs), strict=strict, canaries=needles)
    if document is not None:
        document.write_text(json.dumps(as_json(proof), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for line in lines(proof):
        click.echo(line)
    click.echo(summary(proof))
    sys.exit({Outcome.PROVEN: 0, Outcome.REFUTED: EXIT_REFUTED, Outcome.UNPROVEN: EXIT_UNPROVEN}[proof.outcome])


def _self_test() -> None:
    from lab.verify.controls import CONTROLS, wrong

    failed = list(wrong())
    for name, text in failed:
        click.echo(f"{name}: {text}", err=True)
    click.echo(f"{len(CONTROLS) - len(failed)} of {len(CONTROLS)} controls came out as they must")
    if failed:
        sys.exit(EXIT_MISSING)
