"""Prometheus and Grafana as they are shipped: every figure they ask for exists, and every one that matters is shown."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from server.initialise import initialise
from server.metrics import table
from server.metrics.board import Board
from tests.operations.machine import CHECKOUT
from tests.server.relaying import RunningRelay, wait_until
from tests.server.running import RunningServer, free_port

MONITORING: Final = CHECKOUT / "docker" / "monitoring"
DASHBOARD: Final = MONITORING / "grafana" / "dashboards" / "clawchat.json"
ALERTS: Final = MONITORING / "alerts.yml"
# What node_exporter itself tells.
FOREIGN: Final = frozenset({"node_textfile_mtime_seconds", "node_textfile_scrape_error"})
NAME: Final = re.compile(r"\b(?:clawchat|node)_[a-z0-9_]+")


def expressions() -> Iterator[str]:
    """Go through everything that is asked of Prometheus."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    yield from (target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ()))
    for rule in rules():
        yield rule["expr"]


def rules() -> list[dict[str, Any]]:
    """Return the alerts."""
    found = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return [rule for group in found["groups"] for rule in group["rules"]]


def series() -> dict[str, set[str]]:
    """Return the names of all series that the programs tell, and the labels of each."""
    found: dict[str, set[str]] = {name: set() for name in FOREIGN}
    found["node_textfile_mtime_seconds"] = {"file"}
    for metric in {*table.SERVER, *table.RELAY}:
        labels = {table.PROGRAM, *metric.labels}
        if metric.kind is table.Kind.HISTOGRAM:
            found |= {f"{metric.name}_bucket": labels | {"le"}, f"{metric.name}_count": labels}
        else:
            found[metric.name] = labels
    for which, program in ((table.SERVER, "server"), (table.RELAY, "relay")):
        text = Board(which, program).text().decode()
        found |= {name: set() for name in re.findall(r"^clawchat_\w+_process_\w+", text, re.MULTILINE)}
    return found


def test_what_is_asked_for_exists() -> None:
    known = series()
    asked = {name for each in expressions() for name in NAME.findall(each)}
    assert asked - set(known) == set()


def test_what_is_told_is_shown() -> None:
    asked = {name for each in expressions() for name in NAME.findall(each)}
    for metric in (*table.SERVER, *table.RELAY):
        told = {f"{metric.name}_bucket"} if metric.kind is table.Kind.HISTOGRAM else {metric.name}
        assert told & asked, f"{metric.name} is neither on the dashboard nor in an alert"


def test_the_labels_that_are_asked_for_exist() -> None:
    known = series()
    for each in expressions():
        for name, chosen in re.findall(r"(\w+)\{([^}]*)\}", each):
            if name in known:
                assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", chosen)) <= known[name], each
        if (by := re.search(r"by \(([^)]*)\)", each)) is not None:
            labels = set().union(*(known[name] for name in NAME.findall(each) if name in known))
            assert {label.strip() for label in by[1].split(",")} <= labels, each


def test_a_name_that_does_not_exist_would_be_found() -> None:
    assert NAME.findall("rate(clawchat_no_such_thing_total[5m])") == ["clawchat_no_such_thing_total"]
    assert "clawchat_no_such_thing_total" not in series()


def test_every_panel_fits_the_grid_and_has_its_own_number() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    assert {panel["datasource"]["uid"] for panel in panels if "datasource" in panel} == {
        yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"][0][
            "uid"
        ]
    }


def test_every_alert_says_what_to_do() -> None:
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in {"page", "ticket"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", str(ALERTS)],
        ["check", "config", str(MONITORING / "prometheus.yml")],
        ["test", "rules", str(Path(__file__).with_name("alerts.test.yml"))],
    ],
    ids=["rules", "configuration", "alerts"],
)
def test_promtool_agrees(arguments: list[str]) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool (Debian: prometheus) is not here")
    told = subprocess.run(["promtool", *arguments], check=False, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr


def test_every_alert_is_tried() -> None:
    tried = Path(__file__).with_name("alerts.test.yml").read_text(encoding="utf-8")
    assert [rule["alert"] for rule in rules() if f"alertname: {rule['alert']}" not in tried] == []


class TestCompose:
    """The profile ``monitoring`` of compose.yaml fits what it mounts and what it asks."""

    @pytest.fixture
    def services(self) -> dict[str, dict[str, Any]]:
        found = yaml.safe_load((CHECKOUT / "compose.yaml").read_text(encoding="utf-8"))["services"]
        assert isinstance(found, dict)
        return found

    def test_what_the_programs_write_is_what_node_exporter_reads(self, services: dict[str, dict[str, Any]]) -> None:
        (silent,) = (rule["expr"] for rule in rules() if rule["alert"] == "ClawChatSilent")
        for name in ("server", "relay"):
            (file,) = (each.partition("=")[2] for each in services[name]["environment"] if "METRICS_TEXTFILE" in each)
            assert f"figures:{Path(file).parent}" in services[name]["volumes"]
            assert Path(file).stem in silent
        assert services["node-exporter"]["volumes"] == ["figures:/figures:ro"]
        assert "--collector.textfile.directory=/figures" in services["node-exporter"]["command"]

    def test_what_prometheus_asks_is_there(self, services: dict[str, dict[str, Any]]) -> None:
        config = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
        targets = [
            target for job in config["scrape_configs"] for each in job["static_configs"] for target in each["targets"]
        ]
        assert [target.partition(":")[0] in services for target in targets] == [True]
        source = yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yaml").read_text())
        assert source["datasources"][0]["url"] == "http://prometheus:9090"

    def test_what_is_mounted_exists_and_can_not_be_written(self, services: dict[str, dict[str, Any]]) -> None:
        mounted = [each for service in services.values() for each in service.get("volumes", ()) if each.startswith(".")]
        assert len(mounted) == 4
        for each in mounted:
            source, target, mode = each.split(":")
            assert (CHECKOUT / source).exists(), source
            assert mode == "ro", target

    def test_the_dashboard_lies_where_grafana_looks(self, services: dict[str, dict[str, Any]]) -> None:
        provider = yaml.safe_load((MONITORING / "grafana/provisioning/dashboards/clawchat.yaml").read_text())
        folder = provider["providers"][0]["options"]["path"]
        assert f"./docker/monitoring/grafana/dashboards:{folder}:ro" in services["grafana"]["volumes"]

    def test_nothing_is_open_to_the_network_and_every_image_is_named_exactly(
        self, services: dict[str, dict[str, Any]]
    ) -> None:
        watching = {name: each for name, each in services.items() if each.get("profiles") == ["monitoring"]}
        assert set(watching) == {"node-exporter", "prometheus", "grafana"}
        ports = [port for each in watching.values() for port in each.get("ports", ())]
        assert ports == ["127.0.0.1:3000:3000"]
        assert all(re.search(r":v?\d+\.\d+\.\d+$", each["image"]) for each in watching.values())
        assert all("network_mode" not in each for each in watching.values())

    def test_compose_reads_it(self) -> None:
        if shutil.which("docker-compose") is None:
            pytest.skip("docker-compose is not here")
        told = subprocess.run(
            ["docker-compose", "-f", str(CHECKOUT / "compose.yaml"), "--profile", "monitoring", "config", "-q"],
            check=False,
            capture_output=True,
            text=True,
        )
        assert told.returncode == 0, told.stderr


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """Run a server and a relay that write their figures into one directory."""
    figures = folder / "figures"
    figures.mkdir()
    home = initialise(folder / "server", passphrase=False, passphrase_file=None)
    text = home.configuration.read_text(encoding="utf-8").replace("interval: 15.0", "interval: 1.0")
    home.configuration.write_text(
        text.replace("textfile: null", f"textfile: {figures / 'server.prom'}"), encoding="utf-8"
    )
    (folder / "relay").mkdir(mode=0o700)
    (folder / "relay" / "relay.yaml").write_text(
        f"metrics: {{textfile: {figures / 'relay.prom'}, interval: 1}}\n", encoding="utf-8"
    )
    with RunningServer(home), RunningRelay(folder / "relay"):
        wait_until(lambda: len(list(figures.glob("*.prom"))) == 2)
        yield figures


@contextlib.contextmanager
def program(*command: str) -> Iterator[None]:
    """Run a foreign program for a while."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def exporter(figures: Path, port: int) -> list[str]:
    """Return the command of node_exporter as compose.yaml has it."""
    found = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
    if found is None:
        pytest.skip("node_exporter (Debian: prometheus-node-exporter) is not here")
    return [
        found,
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={figures}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]


def test_one_node_exporter_reads_what_a_server_and_a_relay_write(tmp_path: Path) -> None:
    port = free_port()
    with writing(tmp_path) as figures, program(*exporter(figures, port)):
        text = fetched(f"http://127.0.0.1:{port}/metrics")
    assert 'clawchat_healthy{program="server"} 1' in text
    assert 'clawchat_healthy{program="relay"} 1' in text
    assert "node_textfile_scrape_error 0" in text
    files = re.findall(r'node_textfile_mtime_seconds\{file="([^"]*)"\}', text)
    (silent,) = (rule["expr"] for rule in rules() if rule["alert"] == "ClawChatSilent")
    wanted = re.search(r'file=~"([^"]*)"', silent)
    assert wanted
    assert [bool(re.fullmatch(wanted[1].replace("\\\\", "\\"), file)) for file in files] == [True, True]


def test_a_real_prometheus_understands_everything_that_is_asked_and_has_answers(tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not here")
    node, port = free_port(), free_port()
    config = (MONITORING / "prometheus.yml").read_text(encoding="utf-8")
    config = config.replace("node-exporter:9100", f"127.0.0.1:{node}").replace("interval: 15s", "interval: 1s")
    (tmp_path / "prometheus.yml").write_text(config, encoding="utf-8")
    shutil.copy(ALERTS, tmp_path)
    prometheus = [
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]

    def ask(expression: str) -> list[Any]:
        query = urllib.parse.urlencode({"query": expression})
        told = json.loads(fetched(f"http://127.0.0.1:{port}/api/v1/query?{query}"))
        assert told["status"] == "success", told
        found = told["data"]["result"]
        assert isinstance(found, list)
        return found

    with writing(tmp_path) as figures, program(*exporter(figures, node)), program(*prometheus):
        wait_until(lambda: len(ask("clawchat_healthy")) == 2)
        wait_until(lambda: bool(ask("rate(clawchat_sent_bytes_total[5m])")))
        for expression in expressions():
            ask(expression)
        for metric in (*table.SERVER, *table.RELAY):
            if metric.kind is table.Kind.GAUGE:
                assert ask(metric.name), metric.name
        assert ask('ALERTS{alertstate="firing"}') == []
        rules_told = json.loads(fetched(f"http://127.0.0.1:{port}/api/v1/rules"))["data"]["groups"]
        assert {rule["health"] for group in rules_told for rule in group["rules"]} <= {"ok", "unknown"}


def fetched(url: str) -> str:
    """Fetch from a program of ours on this machine, which may be starting still."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own, on this machine
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                return str(error.read().decode())
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)
