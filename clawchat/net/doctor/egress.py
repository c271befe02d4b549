"""Does UDP get out? Relays answer those who hold their credentials, with sealed datagrams and nothing else."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Sequence
from typing import Final

from clawchat.crypto.credential import Credential
from clawchat.net.doctor.checks import failed, passed, skipped
from clawchat.net.doctor.neighbours import answers
from clawchat.net.driver import Node
from clawchat.net.relays import Membership, Relays
from clawchat.net.user_events import Check
from clawchat.net.websocket import dial, urls_of
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address
from clawchat.values.habit import Ports

WAIT_SECONDS: Final = 5.0
"""Half a dozen HELLOs; a relay that answers none of them is not there for us."""

_SEEN: Final = {
    Ports.PRESERVING: "keeps its ports",
    Ports.STEADY: "shows everybody the same port",
    Ports.COUNTING: "counts its ports on for every destination",
    Ports.RANDOM: "takes another port at random for every destination",
}


async def relay_checks(relays: Sequence[Credential]) -> list[Check]:
    """Join relays for a moment: what they answer proves that UDP gets out and back, and says what our NAT does."""
    if not relays:
        return [skipped("relays", "no relay is named")]
    endpoint = Endpoint(random=secrets.token_bytes)
    node = Node(endpoint, on_event=lambda _: None, watch=False)
    members: dict[bytes, Membership] = {}
    everybody = asyncio.Event()

    def joined(member: Membership) -> None:
        members[member.relay.slot_id] = member
        if len(members) == len({relay.slot_id for relay in relays}):
            everybody.set()

    port = await node.open_port(Address("0.0.0.0", 0))  # noqa: S104 - relays may be anywhere
    joining = Relays(node, endpoint, relays, port=port, websocket=False, on_joined=joined)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await everybody.wait()
    except TimeoutError:
        pass
    finally:
        habit = endpoint.scout.habit(now=time.monotonic())
        await joining.leave()
    silent = [relay for relay in relays if relay.slot_id not in members and relay.websocket]
    try:
        by_websocket = [relay.name for relay in silent if await _opens(node, relay)]
    finally:
        await node.close(limit=0.5)
    checks = _judged(relays, members, node_ports=habit.ports)
    return [*checks, _websockets(silent, by_websocket)] if silent else checks


async def _opens(node: Node, relay: Credential) -> bool:
    """Tell whether a relay can be reached by WebSocket."""
    opened = await dial(node, urls_of(relay))
    if opened is not None:
        opened.close()
    return opened is not None


def _websockets(silent: Sequence[Credential], opened: Sequence[str]) -> Check:
    if opened:
        return passed("WebSocket", f"opens to {', '.join(opened)}, so sessions go by relay over WebSocket")
    names = ", ".join(relay.name for relay in silent)
    return failed("WebSocket", f"none opens to {names}", "Ask whether these relays run, or try another network.")


def _judged(relays: Sequence[Credential], members: dict[bytes, Membership], *, node_ports: Ports) -> list[Check]:
    silent = [relay.name for relay in relays if relay.slot_id not in members]
    seen = sorted({str(member.observed) for member in members.values() if member.observed is not None})
    if not members:
        found = f"no answer from {', '.join(silent)}"
        return [failed("relays", found, "This network may drop UDP: try another one; or the relays are down.")]
    shown = f"joined {len(members)} of {len(relays)}, which see us as {', '.join(seen) or 'nobody'}"
    checks = [passed("relays", shown)]
    if silent:
        checks = [failed("relays", f"{shown}; no answer from {', '.join(silent)}", "Ask whether these relays run.")]
    if node_ports in _SEEN:
        checks.append(passed("NAT by relays", f"it {_SEEN[node_ports]}"))
    return checks


async def egress_check(targets: Sequence[Address]) -> Check:
    """Look whether datagrams leave towards a server's addresses, and whether anything says that they don't arrive."""
    if not targets:
        return skipped("UDP egress", "no address is known")
    refusals = dict(zip(targets, map(refusal, targets), strict=True))
    blocked = {str(target): why for target, why in refusals.items() if why}
    if len(blocked) == len(targets):
        shown = "; ".join(f"{target}: {why}" for target, why in blocked.items())
        return failed("UDP egress", shown, "Allow outgoing UDP in this machine's firewall, or use another network.")
    left = [target for target, why in refusals.items() if not why]
    loud = [str(target) for target, told in zip(left, await asyncio.gather(*map(answers, left)), strict=True) if told]
    if len(loud) == len(left):
        return failed(
            "UDP egress",
            f"nothing listens at {', '.join(loud)}",
            "Start the server, or ask the operator for a new file.",
        )
    quiet = [str(target) for target in left if str(target) not in loud]
    return passed(
        "UDP egress", f"leaves towards {', '.join(quiet)}, and nothing refuses it (a dark server never answers)"
    )


def refusal(target: Address) -> str:
    """Say why this machine does not even send to an address, empty if it does."""
    family = socket.AF_INET6 if target.is_ipv6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.sendto(secrets.token_bytes(96), (target.host, target.port))
    except OSError as error:
        return error.strerror or str(error)
    return ""
