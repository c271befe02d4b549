"""How a cable gets its loss and its delay: filter rules for the one, netem or a wire of ours for the other."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from lab.model.link import Link
from lab.netns import Namespace, NamespaceError

SHARES: Final = 100_000
"""Parts of one in which a filter rule counts a share of packets: a thousandth of a percent."""

QUEUE: Final = 100_000
"""Packets that netem may hold: more than a fast sender has in flight, so that it never drops on its own account."""


def loss_rules(links: Mapping[str, Link]) -> str:
    """Return the rules with which the router loses packets on these of its devices, both ways; empty for none."""
    lines = [
        f'    {side} "{device}" {test} drop'
        for device, link in links.items()
        for side in ("iifname", "oifname")
        for test in _tests(link)
    ]
    if not lines:
        return ""
    chain = ["  chain forward {", "    type filter hook forward priority -10; policy accept;", *lines, "  }"]
    return "\n".join(["table ip loss {", *chain, "}", ""])


def _tests(link: Link) -> list[str]:
    tests = []
    if link.loss:
        tests.append(f"numgen random mod {SHARES} < {round(link.loss * SHARES)}")
    if link.lose_every:
        tests.append(f"numgen inc mod {link.lose_every} {link.lose_every - 1}")
    return tests


def netem_arguments(link: Link) -> list[str]:
    """Return the words of `tc` that give one end of a cable its delay, for what leaves there.

    Loss is left to the filter rules, which work everywhere.
    """
    words = ["netem", "limit", str(QUEUE), "delay", f"{link.delay * 1e3:g}ms"]
    if link.jitter:
        words.append(f"{link.jitter * 1e3:g}ms")
    if link.reorder:
        words += ["reorder", f"{link.reorder * 100:g}%"]
    if link.duplicate:
        words += ["duplicate", f"{link.duplicate * 100:g}%"]
    return words


@functools.cache
def netem_missing() -> str | None:
    """Return None when this kernel has netem, else what `tc` says about it."""
    try:
        with Namespace.create("netem") as scratch:
            scratch.run("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
    except NamespaceError as error:
        return str(error)
    return None
