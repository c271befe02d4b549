"""``clawchat netcheck``: what the network does to direct paths, for a person or as a line of JSON."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Final

from clawchat.nat.mapping import Allocation, Dependence
from clawchat.nat.scope import is_public
from clawchat.nat.stun import complaint
from clawchat.nat.verdict import Reach
from clawchat.net.events_json import encode
from clawchat.net.loop import run
from clawchat.net.netcheck import Look, judged, look, summarise
from clawchat.net.paths import places
from clawchat.net.report import one_line
from clawchat.net.user_events import NetCheck
from clawchat.values.catalog import ExitCode
from clawchat.values.errors import PersonalError
from client.request import settings_of

LABEL_WIDTH: Final = 15

_PORTS: Final = {
    Allocation.UNKNOWN: "not known",
    Allocation.PRESERVING: "kept as they are",
    Allocation.ENDPOINT_INDEPENDENT: "changed, the same for every destination",
    Allocation.SEQUENTIAL: "changed for every destination, counting",
    Allocation.RANDOM: "changed for every destination, at random",
}
_FILTERING: Final = {
    Dependence.UNKNOWN: "not known (a STUN server with two addresses can tell)",
    Dependence.ENDPOINT_INDEPENDENT: "lets everybody in to a port that has sent something",
    Dependence.ADDRESS_DEPENDENT: "lets addresses in that were sent something",
    Dependence.ADDRESS_AND_PORT_DEPENDENT: "lets only answers in",
}
_IPV6: Final = {
    "none": "none",
    "untested": "this machine has a public address",
    "direct": "works, and nothing changes our address",
    "translated": "works, through a NAT",
    "blocked": "this machine has a public address, and no STUN server answered over it",
}


def check_network(config: pathlib.Path | None, stun: Sequence[str], *, port_mapping: bool | None, as_json: bool) -> int:
    """Look at the network and tell; return the exit code. Raises PersonalError."""
    for server in stun:
        if (wrong := complaint(server)) is not None:
            raise PersonalError("CC-USAGE", wrong)
    flags = {"networking.stun_servers": tuple(stun) or None, "networking.port_mapping": port_mapping}
    settings = settings_of(places("client"), config, flags).value.networking
    found = run(look(settings.stun_servers, port_mapping=settings.port_mapping))
    event = summarise(found)
    if as_json:
        print(encode(event, time=time.time()))
    else:
        for label, text in rows(event, found):
            print(f"{label:<{LABEL_WIDTH}} {one_line(text)}")
        print(f"\n{event.meaning}")
    if event.reach == Reach.OFFLINE.value:
        raise PersonalError("CC-NETWORK", "this machine has no address but its own", "Connect to a network.")
    if settings.stun_servers and not event.answered:
        raise PersonalError("CC-STUN-SILENT", f"no answer from {', '.join(settings.stun_servers)}")
    return ExitCode.OK


def rows(event: NetCheck, found: Look) -> Iterator[tuple[str, str]]:
    """Go through what a person reads: a label and a text each."""
    seen = judged(found)
    mapping = seen.mapping
    yield "addresses", ", ".join(event.hosts) or "none"
    yield "seen as", ", ".join(event.public) or "not known"
    if mapping is not None and mapping.last.host in event.hosts:
        yield "NAT", "none: nothing changes our address"
    elif mapping is not None:
        ports = _PORTS[mapping.allocation]
        yield "NAT ports", ports + (f" by {event.step}" if event.step else "")
        yield "NAT mapping", event.mapping
    yield "lets in", _FILTERING[seen.filtering]
    yield "IPv6", _IPV6[event.ipv6]
    yield "router", event.gateway or "not asked"
    if event.mapped is not None:
        shown = "" if found.lease is None or is_public(found.lease.external.host) else ", behind a second NAT"
        yield "port mapping", f"works by {event.mapped_by}: {event.mapped}{shown}"
    else:
        yield "port mapping", "; ".join(event.not_mapped) or "not tried"
    if event.depth is not None:
        yield "depth", f"the public internet begins {event.depth} hops away; TTL {event.prime_ttl} opens our side"
    yield "STUN servers", _servers(event)


def _servers(event: NetCheck) -> str:
    told = [f"answered: {', '.join(event.answered)}" if event.answered else ""]
    if event.rtt_ms is not None:
        told[0] += f" (nearest {event.rtt_ms:.1f} ms)"
    told.append(f"silent: {', '.join(event.silent)}" if event.silent else "")
    return "; ".join(filter(None, told)) or "none are named"
