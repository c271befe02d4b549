"""``lab decrypt``: print what is in a capture, for who has its keys."""

from __future__ import annotations

import json
from pathlib import Path

import click

from clawchat.crypto.keylog import KeyRing
from lab.commands.verify import FILES, load_keys, need_scapy


@click.command()
@click.argument("captures", nargs=-1, type=FILES, required=True)
@click.option(
    "--keylog", "keylogs", multiple=True, type=FILES, required=True, help="A key log; give those of all ends."
)
def decrypt(*, captures: tuple[Path, ...], keylogs: tuple[Path, ...]) -> None:
    """Print the datagrams of captures, opened: a line of JSON for each, bytes in hexadecimal.

    A datagram that was seen at several places is printed once. One that no key opens has the kind null.
    """
    need_scapy()
    from lab.verify.decrypted import lines
    from lab.verify.opening import open_all
    from lab.verify.reading import read

    for line in lines(open_all(read(captures).udp, load_keys(keylogs) or KeyRing())):
        click.echo(json.dumps(line, ensure_ascii=False))
