"""What the laboratory writes for Docker Compose, without any Docker."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.backends.compose.document import HARDENED, SEGMENTS, Setting, document
from lab.backends.compose.passage import ASTRAY, BypassError, Counts, check_counts, read_counts
from lab.backends.netns.rules import RulesError
from lab.model.link import Link
from lab.model.plan import Plan, plan
from lab.model.presets import PRESETS
from lab.model.topology import PREFERRED_RULES, Gateway, Host, Peer, Topology, row

CHECKOUT = Path(__file__).parents[2]

SERVICE_KEYS = {
    "build", "cap_add", "cap_drop", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image",
    "labels", "logging", "mem_limit", "network_mode", "networks", "pids_limit", "ports", "privileged", "profiles",
    "read_only", "restart", "secrets", "security_opt", "stop_grace_period", "sysctls", "tmpfs", "user", "volumes",
    "working_dir",
}  # fmt: skip
"""Keys that docker-compose 1.29 and Docker Compose 2 both know, as far as we use them."""

HEALTH_KEYS = {"test", "interval", "timeout", "retries", "start_period", "disable"}


def setting(**changes: Any) -> Setting:  # noqa: ANN401 - any field
    return Setting(**{"folder": "/srv/lab", "user": "65532:65532", "owner": 1, **changes})


def seven() -> Plan:
    return plan(row(["open", "full-cone", "symmetric-sequential", "double"], peers=2, hosts=[Host("relay", 2)]))


@pytest.mark.parametrize(
    "made", [document(seven(), setting()), yaml.safe_load((CHECKOUT / "compose.yaml").read_text())]
)
def test_both_composes_know_every_key(made: dict[str, Any]) -> None:
    known = {"services", "networks", "volumes", "secrets", "configs"}
    assert {key for key in made if not key.startswith("x-")} <= known
    for name, service in made["services"].items():
        assert set(service) - {"<<"} <= SERVICE_KEYS, name
        assert set(service.get("healthcheck", {})) <= HEALTH_KEYS, name
        for network in (service.get("networks") or {}).values():
            assert set(network) == {"ipv4_address"}, name


def test_a_lan_is_one_network_and_no_network_is_internal() -> None:
    made = document(seven(), setting())
    # The host's filter would keep an internal one from carrying what is not its own.
    assert all("internal" not in network for network in made["networks"].values())
    members = [name for name, one in made["services"].items() if "g2-lan" in (one.get("networks") or {})]
    assert members == ["g2", "g2-a", "g2-b"]
    assert set(made["services"]["g2"]["networks"]) == {"g2-lan", "router-g2"}


def test_addresses_of_a_network_are_its_own_and_not_the_hosts() -> None:
    made = document(seven(), setting())
    taken = [one["ipv4_address"] for each in made["services"].values() for one in each.get("networks", {}).values()]
    assert len(taken) == len(set(taken))
    assert not any(address.endswith(".1") for address in taken)


def test_laboratories_beside_each_other_share_no_address() -> None:
    def subnets(slot: int) -> set[str]:
        networks = document(seven(), setting(slot=slot))["networks"]
        return {network["ipam"]["config"][0]["subnet"] for network in networks.values()}

    assert not subnets(0) & subnets(1)


def test_peers_are_without_privilege_and_have_a_sidecar() -> None:
    services = document(seven(), setting())["services"]
    for peer in ("g1-a", "relay"):
        assert HARDENED.items() <= services[peer].items()
        assert "cap_add" not in services[peer]
        assert services[f"{peer}-join"]["network_mode"] == f"service:{peer}"
        assert services[f"{peer}-join"]["cap_add"] == ["NET_ADMIN"]


def test_a_gateway_has_the_rules_of_the_plan() -> None:
    preferred = plan(row(["full-cone", "symmetric-sequential"], rules=PREFERRED_RULES))
    services = document(preferred, setting(rules_of={"g2": "table ip x$y {\n}\n"}))["services"]
    assert services["g1"]["environment"]["LAB_LOADER"] == "iptables"
    assert services["g2"]["environment"]["LAB_RULES"] == "table ip x$$y {\n}\n"
    assert services["g2"]["sysctls"]["net.netfilter.nf_conntrack_udp_timeout"] == 30


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_written(name: str) -> None:
    assert document(plan(row([name], rules=PREFERRED_RULES)), setting())["services"]["g1"]


def test_a_cable_with_a_delay_is_refused() -> None:
    late = Topology("late", (Gateway("g1", PRESETS["open"].layers[0], link=Link(delay=0.1)),), (Peer("a", "g1"),))
    with pytest.raises(RulesError, match="delay"):
        document(plan(late), setting())


def test_too_many_networks_are_refused() -> None:
    many = row(["port-restricted"] * (SEGMENTS // 2 + 1))
    with pytest.raises(RulesError, match="networks are more than"):
        document(plan(many), setting())


def test_the_router_s_counters_are_read() -> None:
    counted = '{"nftables": [{"metainfo": {}}, {"counter": {"name": "from_g1", "packets": 3}}, %s]}'
    clean = read_counts(seven(), counted % f'{{"counter": {{"name": "{ASTRAY}", "packets": 0}}}}')
    assert clean == Counts({"g1": 3}, 0)
    check_counts(clean)
    with pytest.raises(BypassError, match="2 packets"):
        check_counts(Counts({}, 2))


def test_the_image_is_labelled_with_our_version() -> None:
    dockerfile = (CHECKOUT / "docker/server/Dockerfile").read_text()
    assert f"ARG VERSION={version('clawchat')}\n" in dockerfile


def test_the_folder_of_the_images_holds_no_python() -> None:
    assert not list((CHECKOUT / "docker").rglob("*.py"))
