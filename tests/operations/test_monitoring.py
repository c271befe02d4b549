"""Prometheus and Grafana as they are shipped: every figure they ask for exists, and every one that matters is shown."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from server.home import Home
from server.initialise import initialise
from server.metrics import table
from server.metrics.board import Board
from tests.operations.machine import CHECKOUT
from tests.server.relaying import RunningRelay, wait_until
from tests.server.running import RunningServer

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
    asked = {name for each in expressions() for name in NAME.findall(each.replace("(server|relay)", "server"))}
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


def test_one_node_exporter_reads_what_a_server_and_a_relay_write(tmp_path: Path) -> None:
    exporter = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
    if exporter is None:
        pytest.skip("node_exporter (Debian: prometheus-node-exporter) is not here")
    figures = tmp_path / "figures"
    figures.mkdir()
    home = initialise(tmp_path / "server", passphrase=False, passphrase_file=None)
    write_to(home, figures / "server.prom")
    (tmp_path / "relay").mkdir(mode=0o700)
    relay_yaml = Home(tmp_path / "relay" / "relay.yaml", tmp_path / "relay" / "security").configuration
    relay_yaml.write_text(f"metrics: {{textfile: {figures / 'relay.prom'}}}\n", encoding="utf-8")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with RunningServer(home), RunningRelay(tmp_path / "relay"):
        wait_until(lambda: len(list(figures.glob("*.prom"))) == 2)
        process = subprocess.Popen(
            [
                exporter,
                "--collector.disable-defaults",
                "--collector.textfile",
                f"--collector.textfile.directory={figures}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            text = _read(f"http://127.0.0.1:{port}/metrics")
        finally:
            process.terminate()
            process.wait(10)
    assert 'clawchat_healthy{program="server"} 1' in text
    assert 'clawchat_healthy{program="relay"} 1' in text
    assert "node_textfile_scrape_error 0" in text
    files = re.findall(r'node_textfile_mtime_seconds\{file="([^"]*)"\}', text)
    (silent,) = (rule["expr"] for rule in rules() if rule["alert"] == "ClawChatSilent")
    wanted = re.search(r'file=~"([^"]*)"', silent)
    assert wanted
    assert [bool(re.fullmatch(wanted[1].replace("\\\\", "\\"), file)) for file in files] == [True, True]


def write_to(home: Home, path: Path) -> None:
    text = home.configuration.read_text(encoding="utf-8")
    home.configuration.write_text(text.replace("textfile: null", f"textfile: {path}"), encoding="utf-8")


def _read(url: str) -> str:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own, on this machine
                return str(answer.read().decode())
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
