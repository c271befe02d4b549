"""Named NATs: what each one is in the words of the model, and where such a box was seen.

The names ("full cone", "symmetric") are only names; everything reads the model behind them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from lab.model.nat import (
    CONE_LIFETIME,
    PLAIN_ROUTER,
    Allocation,
    Assignment,
    Dependence,
    Hairpin,
    Nat,
    Traffic,
    Unsolicited,
)

EI: Final = Dependence.ENDPOINT_INDEPENDENT
AD: Final = Dependence.ADDRESS_DEPENDENT
APD: Final = Dependence.ADDRESS_AND_PORT_DEPENDENT

SLOTS: Final = Allocation(Assignment.SEQUENTIAL, 40_000, 40_511)
"""512 ports in a row: more than a fan of probes needs, few enough that a rule set can list them."""

HTTPS: Final = 443


@dataclass(frozen=True, slots=True)
class Preset:
    """A name for one NAT, or for several one behind the other."""

    name: str
    summary: str
    seen: str
    """Where such a box was met."""
    layers: tuple[Nat, ...]
    """From the one next to the hosts to the one next to the internet."""


_FULL_CONE: Final = Nat(EI, EI, lifetime=CONE_LIFETIME)
_PORT_RESTRICTED: Final = Nat(EI, APD)
_CARRIER: Final = Nat(EI, APD, Allocation(Assignment.BLOCK, 32_768, 34_815))
"""One subscriber's block of 2,048 ports."""

_ALL: Final = (
    Preset(
        "open",
        "no NAT and no firewall: hosts have public addresses",
        "servers in a data centre; university networks; a phone that got a public address",
        (PLAIN_ROUTER,),
    ),
    Preset(
        "full-cone",
        "whoever knows the outside port gets in once the inside host has sent anything",
        'OpenWrt with a full-cone module; routers whose "NAT filtering" is set to open for game consoles',
        (_FULL_CONE,),
    ),
    Preset(
        "address-restricted",
        "whoever the inside host has sent to gets in, from any port",
        'home routers with "endpoint filtering: address restricted" (D-Link); some carriers\' NATs',
        (Nat(EI, AD, lifetime=CONE_LIFETIME),),
    ),
    Preset(
        "port-restricted",
        "only the very address and port that was sent to gets in; ports are preserved",
        "Linux MASQUERADE with a firewall in front: OpenWrt, most home routers, Docker, libvirt",
        (_PORT_RESTRICTED,),
    ),
    Preset(
        "symmetric-sequential",
        "every destination gets the next outside port",
        "mobile carriers whose ports can be foretold (Klinec and Matyas, SIN 2014); older home routers",
        (Nat(APD, APD, SLOTS),),
    ),
    Preset(
        "symmetric-random",
        "every destination gets a random outside port",
        "pf, so pfSense and OPNsense unless 'static port' is on; Linux MASQUERADE --random-fully, as in Kubernetes",
        (Nat(APD, APD, Allocation(Assignment.RANDOM)),),
    ),
    Preset(
        "udp-blocked",
        "no UDP at all; TCP may leave",
        "offices, hospitals and hotels with a strict firewall",
        (replace(_PORT_RESTRICTED, traffic=Traffic(udp=False)),),
    ),
    Preset(
        "udp-blocked-443",
        "no UDP, and TCP only to port 443",
        "guest networks that pass nothing but the web",
        (replace(_PORT_RESTRICTED, traffic=Traffic(udp=False, tcp_ports=(HTTPS,))),),
    ),
    Preset(
        "poisonable-home",
        "port-restricted, but an early packet of the peer makes the gateway move the mapping",
        "Linux routers whose INPUT chain accepts: most hand-made ones, and 4G/5G boxes that ship so (PUSR USR-G816)",
        (replace(_PORT_RESTRICTED, unsolicited=Unsolicited.ACCEPT),),
    ),
    Preset(
        "cgnat",
        "a home router behind a carrier's NAT that gives each subscriber a block of ports",
        "carriers short of IPv4 addresses (RFC 6888, RFC 7422; measured by Richter et al., IMC 2016)",
        (_PORT_RESTRICTED, _CARRIER),
    ),
    Preset(
        "double",
        "a home router behind another home router",
        "a router of one's own plugged into the provider's box",
        (_PORT_RESTRICTED, _PORT_RESTRICTED),
    ),
    Preset(
        "full-cone-hairpin",
        "full-cone, and inside hosts reach one another by outside addresses",
        "routers that follow RFC 4787 (REQ-9) to the letter",
        (replace(_FULL_CONE, hairpin=Hairpin.EXTERNAL_SOURCE),),
    ),
    Preset(
        "port-restricted-hairpin",
        "port-restricted, and inside hosts reach one another by outside addresses",
        "OpenWrt with NAT reflection; many recent home routers",
        (Nat(EI, APD, hairpin=Hairpin.EXTERNAL_SOURCE, lifetime=CONE_LIFETIME),),
    ),
    Preset(
        "port-restricted-remap",
        "port-restricted, and every inside port gets another one out of a pool",
        "office firewalls with a pool of ports; carriers' NATs with endpoint-independent mapping",
        (Nat(EI, APD, Allocation(Assignment.REMAP, 20_000, 29_999)),),
    ),
    Preset(
        "address-dependent",
        "every destination address gets an outside port of its own, whatever its port",
        "rare: an option of some carriers' NATs; RFC 4787 names it so that it can be told from the others",
        (Nat(AD, APD, Allocation(Assignment.BLOCK, SLOTS.low, SLOTS.high)),),
    ),
    Preset(
        "symmetric-block",
        "every destination gets another outside port, all out of one block",
        "carriers' NATs for mobile networks, with port blocks (RFC 7422)",
        (Nat(APD, APD, Allocation(Assignment.BLOCK, SLOTS.low, SLOTS.high)),),
    ),
)

PRESETS: Final[Mapping[str, Preset]] = {preset.name: preset for preset in _ALL}


def preset(name: str) -> Preset:
    """Return the preset of this name. Raises ValueError that names the nearest one."""
    found = PRESETS.get(name)
    if found is None:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        raise ValueError(f"no preset is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return found
