"""NATs that see the same packets: one decides, and the others are asked beside it what they would have done.

While they agree, all that happens is what would have happened with any of them, packet by packet, so that one run
stands for each. Most runs ask little of what sets one cone apart from another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from random import Random

from clawchat.values.address import Address
from lab.model.nat import Nat
from lab.model.presets import preset
from lab.sim.nat import SimulatedNat


class Twins(SimulatedNat):
    """The NAT that decides; ``others`` are those that agree with it so far, by name.

    Each draws from a ``chance`` of its own, all of which must yield the same.
    """

    def __init__(self, nat: Nat, address: str, chance: Callable[[], Random], others: Mapping[str, Nat]) -> None:
        super().__init__(nat, address, chance())
        self.others = {name: SimulatedNat(other, address, chance()) for name, other in others.items()}

    def outbound(self, source: Address, destination: Address, now: float) -> Address | None:
        """Decide, and part from who would have decided otherwise."""
        answer = super().outbound(source, destination, now)
        others = self.others.items()
        self._part([name for name, nat in others if nat.outbound(source, destination, now) != answer])
        return answer

    def inbound(self, source: Address, destination: Address, now: float, *, dying: bool = False) -> Address | None:
        """Decide, and part from who would have decided otherwise."""
        answer = super().inbound(source, destination, now, dying=dying)
        others = self.others.items()
        self._part([name for name, nat in others if nat.inbound(source, destination, now, dying=dying) != answer])
        return answer

    def hairpin(self, source: Address, destination: Address, now: float) -> tuple[Address, Address] | None:
        """Decide, and part from who would have decided otherwise."""
        answer = super().hairpin(source, destination, now)
        others = self.others.items()
        self._part([name for name, nat in others if nat.hairpin(source, destination, now) != answer])
        return answer

    def _part(self, dissenting: Iterable[str]) -> None:
        for name in dissenting:
            del self.others[name]

    def forget(self) -> None:
        """Lose all mappings and flows, with all that agree."""
        super().forget()
        for other in self.others.values():
            other.forget()


def twins(name: str, names: Iterable[str]) -> dict[str, Nat]:
    """Return those of some presets that may decide beside the preset called ``name``.

    They differ by what `SimulatedNat` decides from packet to packet and by nothing that a gateway does besides.
    """
    layers = preset(name).layers
    if len(layers) > 1 or not layers[0].translates:
        return {}
    found = {other: preset(other).layers for other in names if other != name}
    return {other: others[0] for other, others in found.items() if len(others) == 1 and _alike(layers[0], others[0])}


def _alike(one: Nat, other: Nat) -> bool:
    return replace(one, filtering=other.filtering, lifetime=other.lifetime) == other
