"""``lab replay``: send what was recorded once more, to a server that runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from clawchat.values.address import Address
from lab.commands.shared import EXIT_MISSING, EXIT_REFUTED
from lab.commands.verify import FILES, need_scapy

WAIT: Final = 3.0
"""Seconds; a server that answers does so at once."""


@click.command()
@click.argument("captures", nargs=-1, type=FILES, required=True)
@click.option("--to", "target", required=True, metavar="ADDRESS:PORT", help="Where the server is.")
@click.option("--point", help="Take only what was recorded at this capture point, best the server's own device.")
@click.option("--wait", type=float, default=WAIT, show_default=True, help="Seconds to listen at the end.")
def replay(*, captures: tuple[Path, ...], target: str, point: str | None, wait: float) -> None:
    """Replay a capture as an attacker would: every datagram of it, to a server of yours, from here.

    A server answers nothing that it has seen before. What died on its way is no replay: whoever delivers it is the
    first to do so. Exit status 6 when one byte comes back, 1 when nobody listens there.
    """
    need_scapy()
    from lab.verify.reading import read
    from lab.verify.replaying import replay as send_again

    where = Address.parse(target)
    capture = read(captures)
    if point is not None and point not in capture.points:
        raise click.UsageError(f"there is no capture point {point!r}; there are {', '.join(sorted(capture.points))}")
    payloads = list(dict.fromkeys(packet.payload for packet in capture.udp if point in {None, packet.point}))
    done = send_again(payloads, (where.host, where.port), wait=wait)
    answered = sum(map(len, done.answers))
    click.echo(f"{done.sent} datagrams replayed: {len(done.answers)} answers, {answered} bytes")
    if done.answers:
        sys.exit(EXIT_REFUTED)
    if done.refusals:
        click.echo(f"nobody listens at {where}, so its silence shows nothing", err=True)
        sys.exit(EXIT_MISSING)
