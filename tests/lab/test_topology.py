from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from clawchat.values.errors import ConfigError
from lab.model.document import load, parse
from lab.model.link import Link
from lab.model.nat import Assignment, Dependence, Hairpin, Lifetime, Unsolicited
from lab.model.plan import PUBLIC_NETWORKS, Plan, plan
from lab.model.presets import PRESETS, preset
from lab.model.topology import Gateway, Host, Peer, Topology, TopologyError, row

TWO_HOMES = """\
topology: two-homes
hosts:
  relay:
  stun: {addresses: 2, link: {delay_ms: 5}}
gateways:
  left: {nat: port-restricted, link: {delay_ms: 20, jitter_ms: 2, loss_percent: 1}}
  right:
    nat:
      mapping: endpoint-independent
      filtering: address-dependent
      ports: {kind: sequential, low: 2000, high: 2999, step: 2}
      hairpin: external-source
      unsolicited: accept
      lifetime: {unreplied: 10, assured: 20, endpoint: 60}
      udp: true
      tcp_ports: [443]
      shares_ports: false
  far: {nat: cgnat, rules: iptables}
  inner: {nat: {preset: full-cone, hairpin: external-source}, behind: right}
peers:
  anna: left
  bob: {gateway: right}
  carl: far
  dora: inner
"""


def test_a_document_says_everything() -> None:
    topology = parse(TWO_HOMES)
    assert topology.name == "two-homes"
    assert topology.hosts == (Host("relay"), Host("stun", 2, Link(delay=0.005)))
    assert topology.peers == (Peer("anna", "left"), Peer("bob", "right"), Peer("carl", "far"), Peer("dora", "inner"))
    assert topology.gateway("left").link == Link(delay=0.02, jitter=0.002, loss=0.01)
    right = topology.gateway("right").nat
    assert (right.filtering, right.hairpin) == (Dependence.ADDRESS_DEPENDENT, Hairpin.EXTERNAL_SOURCE)
    assert (right.allocation.assignment, right.allocation.step) == (Assignment.SEQUENTIAL, 2)
    assert (right.unsolicited, right.shares_ports) == (Unsolicited.ACCEPT, False)
    assert (right.lifetime, right.traffic.tcp_ports) == (Lifetime(10, 20, 60), (443,))
    assert [one.name for one in topology.layers("far")] == ["far", "far-outer"]
    assert topology.gateway("far-outer").rules == "iptables"
    assert [one.name for one in topology.layers("inner")] == ["inner", "right"]
    assert topology.gateway("inner").nat == preset("full-cone-hairpin").layers[0]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 0, 0, "is empty"),
        ("- a", 1, 1, "no keys"),
        ("topology: [", 1, 12, "not YAML"),
        ("hosts: {}", 1, 1, "needs a name"),
        ("topology: x\ngatways: {}", 2, 1, "did you mean 'gateways'"),
        ("topology: x\ntopology: y", 2, 1, "stands twice"),
        ("topology: x\npeers: {a: b}", 2, 9, "no gateway is called 'b'"),
        ("topology: x\npeers: {a: }", 2, 9, "behind no gateway"),
        ("topology: x\ngateways: {g: {}}", 2, 12, "has no nat"),
        ("topology: x\ngateways: {g: }", 2, 12, "has no nat"),
        ("topology: x\ngateways:\n  g: {nat: port-restrictd}", 3, 12, "did you mean 'port-restricted'"),
        ("topology: x\ngateways:\n  g: {nat: {mapping: any, filtering: any}}", 3, 22, "expected one of"),
        ("topology: x\ngateways:\n  g: {nat: {mapping: endpoint-independent}}", 3, 12, "a mapping and a filtering"),
        ("topology: x\ngateways:\n  g: {nat: {preset: double}}", 3, 13, "cannot be changed"),
        ("topology: x\ngateways:\n  g: {nat: {preset: open, udp: 1}}", 3, 32, "true or false"),
        ("topology: x\ngateways:\n  g: {nat: {preset: open, tcp_ports: 1}}", 3, 38, "a list"),
        ("topology: x\ngateways:\n  g: {nat: {preset: open, ports: {low: x}}}", 3, 40, "a whole number"),
        ("topology: x\ngateways:\n  g: {nat: {preset: open, ports: {low: 9, high: 1}}}", 3, 27, "no range"),
        ("topology: x\ngateways:\n  g: {nat: {preset: open, lifetime: {assured: -1}}}", 3, 27, "longer than 0"),
        ("topology: x\ngateways:\n  g: {nat: open, behind: g}", 3, 18, "behind itself"),
        ("topology: x\ngateways:\n  g: {nat: open, behind: h}", 3, 18, "no gateway is called 'h'"),
        ("topology: x\ngateways:\n  g: {nat: open, link: {delay_ms: fast}}", 3, 35, "a number"),
        ("topology: x\ngateways:\n  g: {nat: open, link: {jitter_ms: 5}}", 3, 18, "jitter"),
        (
            "topology: x\ngateways:\n  a: {nat: open}\n  b: {nat: open, behind: a, link: {loss_percent: 1}}",
            4,
            29,
            "router",
        ),
        ("topology: x\nhosts: {Relay: }", 2, 9, "is no name"),
        ("topology: x\nhosts: {router: }", 2, 9, "is no name"),
        ("topology: x\nhosts: {a: {addresses: 9}}", 2, 13, "1 to 4 addresses"),
        ("topology: x\nhosts: {a: }\ngateways: {a: {nat: open}}", 2, 9, "two nodes"),
        ("topology: x\nhosts: {a: {addresses: &x 1}, b: {addresses: yes}}", 2, 46, "a whole number"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "net.yaml")
    assert words in str(caught.value)
    assert (caught.value.file, caught.value.line, caught.value.column) == ("net.yaml", line, column)


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(b"topology: \xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(broken)
    broken.write_text("topology: x\n" + "#" * 300_000)
    with pytest.raises(ConfigError, match="longer than"):
        load(broken)


def test_the_examples_can_be_read() -> None:
    examples = sorted(Path(__file__).parents[2].glob("lab/topologies/*.yaml"))
    assert examples
    for example in examples:
        assert plan(load(example)).peers


def test_the_documented_example_can_be_read() -> None:
    text = (Path(__file__).parents[2] / "docs/LAB.md").read_text("utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    assert [peer.name for peer in parse(example).peers] == ["anna", "bob", "carl"]


def check_addresses(made: Plan) -> None:
    """Assert that nobody shares an address, and that what has to be public is."""
    public = [address for host in made.hosts.values() for address in host.addresses]
    public += [one.wan for one in made.gateways.values() if one.behind is None]
    public += [address for one in made.gateways.values() if one.behind is None for address in one.delegated]
    everybody = public + [peer.address for peer in made.peers.values()]
    everybody += [one.wan for one in made.gateways.values() if one.behind is not None]
    assert len(set(everybody) - set(public)) + len(set(public)) == len(set(everybody))
    assert len(public) == len(set(public))
    networks = [ip_network(one) for one in PUBLIC_NETWORKS]
    assert all(any(ip_address(one) in network for network in networks) for one in public)
    inside = [ip_network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")]
    assert all(any(ip_address(one) in network for network in inside) for one in set(everybody) - set(public))


def test_every_node_gets_an_address_of_its_own() -> None:
    made = plan(row(list(PRESETS), peers=3, hosts=[Host("relay"), Host("stun", 2)]))
    check_addresses(made)
    peers = [peer.address for peer in made.peers.values()]
    assert len(set(peers)) == len(peers) == 3 * len(PRESETS)
    assert made.nats("g10") == preset("cgnat").layers
    assert made.layers("g10")[0].next_hop == made.layers("g10")[1].lan


def test_behind_a_plain_router_addresses_are_public() -> None:
    made = plan(row(["open", "port-restricted"]))
    assert made.peers["g1-a"].address.startswith("203.0.113.")
    assert made.gateways["g1"].delegated == (made.peers["g1-a"].address,)
    assert made.peers["g2-a"].address.startswith("10.")
    assert made.gateways["g2"].delegated == ()


def test_a_plan_is_the_same_every_time() -> None:
    assert plan(parse(TWO_HOMES)).as_json() == plan(parse(TWO_HOMES)).as_json()


def test_a_topology_has_limits() -> None:
    many = tuple(Peer(f"p{number}", "g") for number in range(201))
    with pytest.raises(TopologyError, match="201 peers"):
        Topology("big", (Gateway("g", preset("open").layers[0]),), many)
    public = tuple(Gateway(f"g{number}", preset("open").layers[0]) for number in range(150))
    with pytest.raises(TopologyError, match="need an address"):
        plan(Topology("big", public, tuple(Peer(f"p{number}", f"g{number}") for number in range(150))))
