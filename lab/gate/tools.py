"""The same questions, asked by programs that we did not write: coturn's and Debian's.

`turnutils_natdiscovery` follows RFC 5780 and judges mapping, filtering and hairpinning, each in a run of its own;
`stun` follows RFC 3489 and has an opinion on all of them at once. Both need a STUN server with two addresses, which is
coturn's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from lab.backends.machine import Machine, Process, World
from lab.gate.claims import Claim
from lab.gate.ground import Kit
from lab.gate.probe import Probe
from lab.model.nat import Dependence, Hairpin

STUN_MAPPING: Final = "stun-mapping"
STUN_FILTERING: Final = "stun-filtering"

STUN_PORTS: Final = (3478, 3479)
"""Where STUN is served (RFC 8489), and coturn's alternative port."""

VOTES: Final = 3
"""Runs of a program, of which two must agree: on a busy machine one may miss an answer."""

STUN_CLASSIC: Final = tuple(f"stun-classic-{vote}" for vote in range(1, VOTES + 1))
HOSTS: Final = dict.fromkeys((STUN_MAPPING, STUN_FILTERING, *STUN_CLASSIC), 2)
"""A server with two addresses for each kind of question, and for each run of a program that asks two kinds at once: a
filter that remembers addresses would mix up the answers of a shared one."""

TOOL_TIMEOUT: Final = 12.0
"""Seconds a program may take; the slowest question waits for two answers of 3 s each."""

SERVER_TIMEOUT: Final = 5.0
"""Seconds until a STUN server has to be there."""

PROGRAMS: Final = {"turnutils_natdiscovery": "coturn", "turnserver": "coturn", "stun": "stun-client"}
"""What is asked for, and the Debian package that has it."""

LOOK: Final = 0.02
"""Seconds between two looks at a program."""

NO_ANSWER: Final = "no answer"

_BEHAVIOUR: Final = re.compile(r"NAT with (?P<kind>[A-Za-z ]+) (?:Mapping|Filtering)!")
_PRIMARY: Final = re.compile(r"^Primary: (?P<words>.*?)\s*$", re.MULTILINE)
_FILTERS: Final = {
    Dependence.ENDPOINT_INDEPENDENT: "Independent Filter",
    Dependence.ADDRESS_DEPENDENT: "Address Dependent Filter",
    Dependence.ADDRESS_AND_PORT_DEPENDENT: "Port Dependent Filter",
}


def missing() -> tuple[str, ...]:
    """Return the programs that this machine lacks, each with its package."""
    return tuple(f"{name} (package {package})" for name, package in PROGRAMS.items() if not shutil.which(name))


def read_behaviour(output: str) -> str:
    """Return what turnutils_natdiscovery says about mapping or filtering, in the model's words."""
    found = _BEHAVIOUR.findall(output)
    return found[-1].lower().replace(" ", "-") if found else NO_ANSWER


def read_hairpin(output: str) -> str:
    """Return what turnutils_natdiscovery says about hairpinning."""
    if "reflexive addr" not in output:
        return NO_ANSWER
    return "turns packets around" if "successful hairpinning" in output else "does not"


def read_classic(output: str) -> str:
    """Return the one sentence of the RFC 3489 client."""
    found = _PRIMARY.search(output)
    return found["words"] if found else NO_ANSWER


def claimed_hairpin(claim: Claim) -> str | None:
    """Say what turnutils_natdiscovery must find out about hairpinning; without a NAT a host reaches itself."""
    if not claim.udp:
        return NO_ANSWER
    return "turns packets around" if claim.hairpin is not Hairpin.NONE or not claim.nats else "does not"


def claimed_classic(claim: Claim) -> str:
    """Say the sentence of the RFC 3489 client, which lumps all dependent mappings together."""
    if not claim.udp:
        return "Blocked or could not reach STUN server"
    if not claim.nats:
        return "Open"
    kept = "preserves ports" if claim.preserves else "random port"
    turned = "will hairpin" if claim.hairpin is not Hairpin.NONE else "no hairpin"
    if claim.mapping is not Dependence.ENDPOINT_INDEPENDENT:
        return f"Dependent Mapping, {kept}, {turned}"
    # It sends to the other address of the server before it asks for packets from there, from another port. A filter
    # that remembers addresses for a whole host is open by then.
    seen = Dependence.ENDPOINT_INDEPENDENT if claim.opens_host else claim.filtering
    return f"Independent Mapping, {_FILTERS[seen]}, {kept}, {turned}"


def majority(answers: Sequence[str]) -> str:
    """Return what most runs of a program say, or that they do not agree."""
    (answer, votes), *_ = Counter(answers).most_common()
    return answer if votes > len(answers) // 2 else "no two runs agree: " + " / ".join(answers)


class Tools:
    """Programs that run in a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    @contextlib.contextmanager
    def serving(self, scratch: Path) -> Iterator[None]:
        """Run the STUN servers for a while; their papers go to a scratch folder. Raises TimeoutError."""
        with contextlib.ExitStack() as stack:
            servers: list[tuple[Machine, Process]] = []
            for host in HOSTS:
                machine = self._world.machine(host)
                listening = [word for address in self._world.plan.hosts[host].addresses for word in ("-L", address)]
                files = ["-l", str(scratch / f"{host}.log"), "--pidfile", str(scratch / f"{host}.pid")]
                options = ["-n", "-S", "-m", "1", "--no-tcp", "--no-tls", "--no-dtls", "--no-cli", "--simple-log"]
                output = stack.enter_context((scratch / f"{host}.out").open("wb"))
                server = machine.start(["turnserver", *options, *listening, *files], output=output)
                stack.callback(server.end)
                servers.append((machine, server))
            deadline = time.monotonic() + SERVER_TIMEOUT
            while not all(_listens(*one) for one in servers):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"coturn's turnserver did not open its ports within {SERVER_TIMEOUT:g} s")
                time.sleep(LOOK)
            yield

    def probes(self) -> tuple[Probe, ...]:
        """Return the questions that these programs answer."""
        return (
            Probe("natdiscovery -m", _or_no_answer("mapping"), self._mapping, ours=False),
            Probe("natdiscovery -f", _or_no_answer("filtering"), self._filtering, ours=False),
            Probe("natdiscovery -H", claimed_hairpin, self._hairpin, ours=False),
            Probe("stun-client", claimed_classic, self._classic, ours=False),
        )

    async def _mapping(self, kit: Kit) -> str:
        return majority([read_behaviour(output) for output in await self._discover(kit, "-m", STUN_MAPPING)])

    async def _filtering(self, kit: Kit) -> str:
        return majority([read_behaviour(output) for output in await self._discover(kit, "-f", STUN_FILTERING)])

    async def _hairpin(self, kit: Kit) -> str:
        return majority([read_hairpin(output) for output in await self._discover(kit, "-H", STUN_MAPPING)])

    async def _classic(self, kit: Kit) -> str:
        commands = []
        for host in STUN_CLASSIC:
            # It uses the port after this one too.
            port, _ = kit.port(), kit.port()
            commands.append(["stun", self._world.plan.hosts[host].addresses[0], "-p", str(port)])
        return majority([read_classic(output) for output in await self._vote(kit, commands)])

    async def _discover(self, kit: Kit, option: str, host: str) -> list[str]:
        own = self._world.plan.peers[kit.suspect.peer].address
        server = self._world.plan.hosts[host].addresses[0]
        command = ["turnutils_natdiscovery", option, "-L", own, server]
        return await self._vote(kit, [command] * VOTES)

    async def _vote(self, kit: Kit, commands: Sequence[Sequence[str]]) -> list[str]:
        return list(await asyncio.gather(*(self._run(kit.suspect.peer, command) for command in commands)))

    async def _run(self, node: str, command: Sequence[str]) -> str:
        """Run a program on a machine to its end and return what it printed; its exit code tells nothing."""
        with tempfile.TemporaryFile() as output:
            process = self._world.machine(node).start(command, output=output)
            try:
                async with asyncio.timeout(TOOL_TIMEOUT):
                    while process.poll() is None:  # noqa: ASYNC110 - processes of other machines tell nobody
                        await asyncio.sleep(LOOK)
            except TimeoutError:
                return ""
            finally:
                process.end()
            output.seek(0)
            return output.read().decode("utf-8", "replace")


def _or_no_answer(what: str) -> Callable[[Claim], str | None]:
    return lambda claim: getattr(claim, what) if claim.udp else NO_ANSWER


def _listens(machine: Machine, server: Process) -> bool:
    """Tell whether a STUN server has opened both ports of both addresses."""
    code = server.poll()
    if code is not None:
        raise TimeoutError(f"coturn's turnserver ended with exit code {code}")
    lines = machine.network_file("udp").splitlines()[1:]
    bound = [int(line.split()[1].partition(":")[2], 16) for line in lines]
    return all(bound.count(port) >= len(STUN_PORTS) for port in STUN_PORTS)
