"""The probes that wait: how long flows and endpoints live, each looked at shortly before and shortly after its end.

They run behind a twin of the gateway whose lifetimes are a few seconds, so that the gate ends in seconds too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from clawchat.values.address import Address
from lab.gate.claims import Claim
from lab.gate.ground import SILENCE, Kit, Socket, heard_from, reaches
from lab.gate.probe import ECHO, Probe, TooLateError
from lab.model.nat import ASSURED_AFTER, Lifetime, Nat

BRIEF_UNREPLIED: Final = 2.0
BRIEF_ASSURED: Final = 4.0
BRIEF_ENDPOINT: Final = 3.0
"""Seconds. They differ from one another by a whole margin, so that one is not taken for another; kernels count them
in whole seconds."""

MARGIN: Final = 1.0
"""Seconds before and after the end of a lifetime at which it is looked at."""

LATE: Final = MARGIN / 2
"""A moment that was missed by more seconds is on nobody's side of the end of a lifetime."""

PAUSE: Final = 0.2
"""Seconds between the first packets of a flow."""


RENEWALS: Final = (0.6, 1.15)
"""Shares of a lifetime after which the remote end speaks: once before its end, once after the end it had at first."""


def brief(nat: Nat) -> Nat:
    """Return the same NAT with short lifetimes."""
    endpoint = None if nat.lifetime.endpoint is None else BRIEF_ENDPOINT
    return replace(nat, lifetime=Lifetime(BRIEF_UNREPLIED, BRIEF_ASSURED, endpoint))


def _span(seconds: float) -> str:
    return f"{seconds:g} s"


class _Trial:
    """Two flows that are alike: one is looked at before its end, the other one after it.

    Whatever it does raises TooLateError if the machine was so busy that it comes too late.
    """

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.pairs = [(kit.brief(), kit.outside(ECHO)) for _ in range(2)]
        self.last = 0.0
        self.outside: list[Address] = []

    async def speak(self) -> bool:
        """Send from inside over both flows; tell whether both packets arrived."""
        began = self.kit.ground.now()
        heard = [await heard_from(near, far) for near, far in self.pairs]
        self.outside = [source for source in heard if source is not None]
        self.last = self.kit.ground.now()
        arrived = len(self.outside) == len(self.pairs)
        if arrived and self.last > began + LATE:
            raise TooLateError
        return arrived

    async def until(self, seconds: float) -> None:
        """Wait until so long after the last packet."""
        ground, moment = self.kit.ground, self.last + seconds
        await ground.rest(max(moment - ground.now(), 0))
        if ground.now() > moment + LATE:
            raise TooLateError

    async def lives(self, which: int, *, far: Socket | None = None) -> bool:
        """Tell whether a remote end still gets in over one of the flows."""
        near, spoken_to = self.pairs[which]
        return await reaches(far or spoken_to, self.outside[which], near, patience=SILENCE)

    async def span(self, claimed: float, *, strangers: bool = False) -> str:
        """Look at one flow a margin before the claimed end and at the other one a margin after it.

        With `strangers` it is another port of the remote address that tries to get in.
        """
        others = [self.kit.outside(ECHO) if strangers else None for _ in self.pairs]
        await self.until(claimed - MARGIN)
        early = await self.lives(0, far=others[0])
        await self.until(claimed + MARGIN)
        if await self.lives(1, far=others[1]):
            return f"more than {_span(claimed + MARGIN)}"
        return _span(claimed) if early else f"less than {_span(claimed - MARGIN)}"


def claimed_unreplied(claim: Claim) -> str | None:
    """Say how long a flow of one packet lives."""
    return _span(claim.idle(assured=False)) if claim.udp and claim.nats else None


async def unreplied(kit: Kit) -> str:
    """Send one packet and let the answer come late."""
    trial = _Trial(kit)
    if not await trial.speak():
        return "no answer"
    return await trial.span(kit.suspect.brief_claim.idle(assured=False))


def claimed_assured(claim: Claim) -> str | None:
    """Say how long a flow lives that both ends have used for a while."""
    return _span(claim.idle(assured=True)) if claim.udp and claim.nats else None


async def assured(kit: Kit) -> str:
    """Talk both ways for a little more than two seconds, then be quiet."""
    trial = _Trial(kit)
    if not await trial.speak():
        return "no answer"
    for which in range(len(trial.pairs)):
        if not await trial.lives(which):
            return "no answer"
    await trial.until(ASSURED_AFTER / 2)
    await trial.speak()
    await trial.until(ASSURED_AFTER / 2 + PAUSE)
    if not await trial.speak():
        return "no answer"
    return await trial.span(kit.suspect.brief_claim.idle(assured=True))


def claimed_endpoint(claim: Claim) -> str | None:
    """Say how long an endpoint stays open to ports that it has not sent to."""
    return _span(claim.remembered) if claim.udp and claim.remembered is not None else None


async def endpoint(kit: Kit) -> str:
    """Send, be answered, send again and let another port of the same address come late: all packets must count."""
    trial = _Trial(kit)
    if not (await trial.speak() and await trial.lives(0) and await trial.lives(1)):
        return "no answer"
    await trial.until(BRIEF_ENDPOINT / 2)
    if not await trial.speak():
        return "no answer"
    return await trial.span(kit.suspect.brief_claim.remembered or 0, strangers=True)


def claimed_renewal(claim: Claim) -> str | None:
    """Say whether packets from outside keep a flow alive."""
    return "renew it" if claim.udp and claim.nats else None


async def renewal(kit: Kit) -> str:
    """Send one packet, and let only the remote end speak from then on."""
    trial = _Trial(kit)
    if not await trial.speak():
        return "no answer"
    span = kit.suspect.brief_claim.idle(assured=False)
    for share in RENEWALS:
        await trial.until(span * share)
        if not await trial.lives(0):
            return "do not renew it" if share > 1 else "no answer"
    return "renew it"


PROBES: Final = (
    Probe("unreplied", claimed_unreplied, unreplied, lasting=True),
    Probe("assured", claimed_assured, assured, lasting=True),
    Probe("endpoint", claimed_endpoint, endpoint, lasting=True),
    Probe("renewal", claimed_renewal, renewal, lasting=True),
)
