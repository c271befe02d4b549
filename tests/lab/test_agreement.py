"""The simulator does what netfilter does: random conversations, packet by packet, in both."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from clawchat.values.address import Address
from lab.backends.netns.world import opened
from lab.gate.ground import Ground, Socket
from lab.gate.grounds.machines import MachineGround
from lab.gate.grounds.simulated import SimulatedGround
from lab.gate.trial import run_instantly
from lab.model.plan import HOST_NETWORK, Plan, plan
from lab.model.topology import Host, row

pytestmark = pytest.mark.netns

PRESETS = (
    "port-restricted",
    "full-cone",
    "address-restricted",
    "poisonable-home",
    "double",
    "full-cone-hairpin",
    "port-restricted-hairpin",
    "open",
)
"""Those whose ports can be foretold."""

INSIDE_PORT = 5000
STEPS = 60
SETTLED = 0.02
"""Seconds after which a packet has arrived or never will; there are no lifetimes this short."""

Step = tuple[str, int, int]
Heard = tuple[str, str]


def script(seed: int) -> list[Step]:
    """Return who sends to whom: `out` and `in` between an inside and a remote end, `turn` between neighbours."""
    random = Random(seed)
    return [
        (random.choice(["out", "out", "in", "in", "turn"]), random.randrange(2), random.randrange(4))
        for _ in range(STEPS)
    ]


class Conversation:
    """One gateway's machines and what they heard, step by step."""

    def __init__(self, ground: Ground, made: Plan, number: int) -> None:
        self.wan = [one for one in made.layers(f"g{number}") if one.nat.translates]
        self.insides = [self._inside(ground, made, f"g{number}-{letter}") for letter in "ab"]
        first, second = made.hosts["host"].addresses
        port = 7000 + 10 * number
        self.remotes = [
            ground.open("host", Address(host, port + place))
            for place, host in enumerate([first, first, second, second])
        ]
        self.outside: dict[tuple[int, int], Address] = {}
        """Where a remote end has last seen an inside end."""
        self.log: list[list[Heard]] = []

    @staticmethod
    def _inside(ground: Ground, made: Plan, peer: str) -> Socket:
        return ground.open(peer, Address(made.peers[peer].address, INSIDE_PORT))

    def known(self, inside: int) -> Address:
        """Return where anybody has last seen an inside end, or where it would be."""
        for (one, _), address in reversed(self.outside.items()):
            if one == inside:
                return address
        host = self.wan[-1].wan if self.wan else self.insides[inside].address.host
        return Address(host, INSIDE_PORT)

    def act(self, step: Step) -> None:
        verb, inside, remote = step
        match verb:
            case "out":
                self.insides[inside].send(b"%d" % inside, self.remotes[remote].address)
            case "in":
                self.remotes[remote].send(b"in", self.outside.get((inside, remote)) or self.known(inside))
            case _:
                self.insides[inside].send(b"turn", self.known(1 - inside))

    async def listen(self) -> None:
        heard: list[Heard] = []
        for title, ends in (("inside", self.insides), ("remote", self.remotes)):
            for place, end in enumerate(ends):
                while arrival := await end.receive(0):
                    if title == "remote":
                        inside = int(arrival.payload)
                        self.outside.pop((inside, place), None)
                        self.outside[inside, place] = arrival.source
                    heard.append((f"{title} {place}", self._seen(arrival.source)))
        self.log.append(heard)

    def _seen(self, source: Address) -> str:
        """Return a source as both backends see it: which port replaces a lost one is a matter of chance."""
        foretold = source.port == INSIDE_PORT or source.host.startswith(HOST_NETWORK)
        return str(source) if foretold else f"{source.host}:another"


async def converse(ground: Ground, made: Plan, steps: Sequence[Step]) -> list[list[list[Heard]]]:
    """Let all gateways take the same steps at the same time; return what was heard at each."""
    conversations = [Conversation(ground, made, number) for number in range(1, len(PRESETS) + 1)]
    try:
        for step in steps:
            for one in conversations:
                one.act(step)
            await ground.rest(SETTLED)
            for one in conversations:
                await one.listen()
        return [one.log for one in conversations]
    finally:
        for one in conversations:
            for end in (*one.insides, *one.remotes):
                end.close()


@pytest.mark.parametrize("seed", range(3))
def test_both_hear_the_same(seed: int) -> None:
    made = plan(row(PRESETS, peers=2, hosts=[Host("host", 2)]))
    steps = script(seed)
    simulated = run_instantly(converse(SimulatedGround(made), made, steps))
    with opened(made) as world:
        real = asyncio.run(converse(MachineGround(world), made, steps))
    differences = [
        (preset, number, step, ours, theirs)
        for preset, mine, its in zip(PRESETS, simulated, real, strict=True)
        for number, (step, ours, theirs) in enumerate(zip(steps, mine, its, strict=True))
        if ours != theirs
    ]
    assert differences == []
