"""Ask every probe about every gateway, three times when in doubt."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from lab.backends import machine
from lab.backends.netns.world import World, opened
from lab.gate import endurance, probes, strangers, tools
from lab.gate.ground import Ground, Kit, Suspect
from lab.gate.grounds.machines import MachineGround
from lab.gate.grounds.simulated import SimulatedGround
from lab.gate.probe import ECHO, HOSTS, Probe, TooLateError
from lab.gate.suspects import Candidate, LineUp, line_up
from lab.gate.verdict import Finding, Report, Verdict

OURS: Final = (*probes.PROBES, *strangers.PROBES, *endurance.PROBES)

TRIES: Final = 3
"""How often a probe of ours is asked when its first answer contradicts the claim; most of the answers count."""

MOST_LATE: Final = 6
"""How often a probe may miss its moment before that is the answer."""

_LASTING: Final = {probe.name: place for place, probe in enumerate(endurance.PROBES)}
"""Which twin a lasting probe uses, where each needs one of its own."""

T = TypeVar("T")


async def _ask(probe: Probe, ground: Ground, suspect: Suspect, tries: int) -> Finding | None:
    """Ask one probe about one gateway; None when it has nothing to ask there."""
    claimed = probe.claim(suspect.brief_claim if probe.lasting else suspect.claim)
    if claimed is None:
        return None
    answers: list[str] = []
    late = 0
    # Programs vote by themselves.
    while len(answers) < (tries if probe.ours else 1):
        with Kit(ground, suspect, twin=_LASTING.get(probe.name, 0)) as kit:
            try:
                answers.append(str(await probe.observe(kit)))
            except TooLateError:
                late += 1
                if late < MOST_LATE:
                    continue
                answers.append("too late to tell, on a busy machine")
        if answers == [claimed]:
            break
    answer, votes = Counter(answers).most_common(1)[0]
    observed = answer if votes > len(answers) // 2 else " / ".join(answers)
    return Finding(probe.name, claimed, observed, probe.ours)


async def _try_at_once(asked: Sequence[Probe], ground: Ground, suspect: Suspect, tries: int) -> Verdict:
    """Ask all probes at the same time, but those first that need an unused gateway."""
    early = [await _ask(probe, ground, suspect, tries) for probe in asked if probe.first]
    later = await asyncio.gather(*(_ask(probe, ground, suspect, tries) for probe in asked if not probe.first))
    return Verdict(suspect.title, tuple(finding for finding in (*early, *later) if finding is not None))


async def _try_in_turn(asked: Sequence[Probe], ground: Ground, suspect: Suspect) -> Verdict:
    ordered = sorted(asked, key=lambda probe: not probe.first)
    findings = [await _ask(probe, ground, suspect, 1) for probe in ordered]
    return Verdict(suspect.title, tuple(finding for finding in findings if finding is not None))


def run_instantly(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits: in virtual time everything has happened by the time it is asked for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("a probe waited for something other than its ground")


def try_simulated(tried: Sequence[Candidate], *, seed: int = 0) -> Report:
    """Try gateways of the simulator with our own probes."""
    began = time.monotonic()
    lined = line_up(tried, HOSTS)
    ground = SimulatedGround(lined.plan, seed=seed)
    verdicts = [run_instantly(_try_in_turn(OURS, ground, suspect)) for suspect in lined.suspects]
    return Report("sim", tuple(verdicts), seconds=time.monotonic() - began)


def try_namespaces(
    tried: Sequence[Candidate],
    *,
    with_tools: bool = True,
    tries: int = TRIES,
    tamper: Callable[[World], None] | None = None,
) -> Report:
    """Try gateways made of namespaces, with the programs of others (as far as they are there) and our own probes.

    `tamper` may change the network before it is tried. Raises NamespaceError and RulesError.
    """
    began = time.monotonic()
    missing = tools.missing() if with_tools else ()
    use_tools = with_tools and not missing
    lined = line_up(tried, HOSTS | (tools.HOSTS if use_tools else {}))
    with opened(lined.plan, rules_of=lined.rules) as world:
        if tamper is not None:
            tamper(world)
        with tempfile.TemporaryDirectory(prefix="clawchat-gate-") as scratch:
            verdicts = _try_machines(world, lined, Path(scratch) if use_tools else None, tries)
    return Report("netns", verdicts, missing, time.monotonic() - began)


def try_containers(tried: Sequence[Candidate], *, tries: int = TRIES) -> Report:
    """Try gateways made of containers, whose image has the programs of others, and then the ways between them.

    Raises NamespaceError, of which a BypassError says that something came round its gateway, and RulesError.
    """
    from lab.backends.compose.machine import give
    from lab.backends.compose.world import opened as opened_containers

    began = time.monotonic()
    lined = line_up(tried, HOSTS | tools.HOSTS)
    with opened_containers(lined.plan, rules_of=lined.rules) as world:
        scratch = world.folder / "gate"
        scratch.mkdir()
        give(scratch)
        verdicts = _try_machines(world, lined, scratch, tries)
        world.check_ways()
    return Report("compose", verdicts, seconds=time.monotonic() - began)


def _try_machines(world: machine.World, lined: LineUp, scratch: Path | None, tries: int) -> tuple[Verdict, ...]:
    """Try all suspects of a network that stands; without a scratch folder no programs of others are asked."""
    ground = MachineGround(world)
    with contextlib.ExitStack() as stack:
        stack.enter_context(ground.listening(ECHO, probes.TCP_PORTS))
        asked: tuple[Probe, ...] = OURS
        if scratch is not None:
            programs = tools.Tools(world)
            stack.enter_context(programs.serving(scratch))
            asked = (*OURS, *programs.probes())

        async def everything() -> list[Verdict]:
            return await asyncio.gather(*(_try_at_once(asked, ground, suspect, tries) for suspect in lined.suspects))

        return tuple(asyncio.run(everything()))
