"""What happens to the network of a running world: two gateways are parted, a machine is carried elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lab.backends.netns import rules
from lab.backends.netns.cabling import PEER_DEVICE, WAN
from lab.backends.netns.world import World
from lab.model.plan import PREFIX, ROUTER_EDGE
from lab.model.topology import ROUTER

PARTED: Final = """table ip parted {
  set pairs {
    type ipv4_addr . ipv4_addr
  }
  chain forward {
    type filter hook forward priority -20; policy accept;
  }
}
flush chain ip parted forward
add rule ip parted forward ip saddr . ip daddr @pairs drop
"""
"""How the router keeps two gateways apart that both reach everybody else; loading it again changes nothing."""


def part(world: World, one: str, other: str) -> None:
    """Let the router drop what goes from one gateway to another, and back."""
    ends = (world.plan.gateways[one].wan, world.plan.gateways[other].wan)
    pairs = f"{{ {ends[0]} . {ends[1]}, {ends[1]} . {ends[0]} }}"
    text = f"{PARTED}add element ip parted pairs {pairs}\n"
    world.namespace(ROUTER).run("nft", "-f", "-", text=text)


def rejoin(world: World) -> None:
    """Let everybody reach everybody again."""
    world.namespace(ROUTER).run("nft", "flush", "set", "ip", "parted", "pairs")


def take_seat(world: World, peer: str, seat: str) -> None:
    """Carry a machine to the place of another one, behind another gateway: it gets that one's cable and address."""
    mover, sitter = world.namespace(peer), world.namespace(seat)
    place = world.plan.peers[seat]
    gateway = world.plan.gateways[place.gateway]
    bits = PREFIX if gateway.nat.translates else 32
    mover.ip("link", "delete", PEER_DEVICE)
    sitter.ip("link", "set", PEER_DEVICE, "netns", mover.name)
    mover.ip_batch(
        [
            f"address add {place.address}/{bits} dev {PEER_DEVICE}",
            f"link set {PEER_DEVICE} up",
            f"route add default via {gateway.lan} dev {PEER_DEVICE} onlink",
        ]
    )


def renumber(world: World, gateway: str, address: str) -> None:
    """Give a gateway next to the router another outside address, as providers do at night; it forgets its mappings."""
    planned = world.plan.gateways[gateway]
    namespace, router = world.namespace(gateway), world.namespace(ROUTER)
    port = router.ip("-o", "route", "show", planned.wan).split(" dev ")[1].split()[0]
    router.ip_batch([f"route del {planned.wan}/32 dev {port}", f"route add {address}/32 dev {port}"])
    namespace.run("nft", "flush", "ruleset")
    namespace.ip_batch(
        [
            f"address add {address}/32 dev {WAN}",
            f"address del {planned.wan}/32 dev {WAN}",
            f"route replace default via {ROUTER_EDGE} dev {WAN} onlink",
        ]
    )
    world.load(gateway, rules.for_gateway(replace(planned, wan=address)))
    namespace.run("conntrack", "-F")
