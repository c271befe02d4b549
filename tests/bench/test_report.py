"""The table and the JSON document of a comparison."""

from __future__ import annotations

import io
import json

from rich.console import Console

from lab.bench.figures import METRICS, Sample
from lab.bench.report import (
    Comparison,
    Reading,
    Row,
    comparison_json,
    comparison_table,
    document,
    number,
    readings_json,
    readings_table,
)


def comparison() -> Comparison:
    return Comparison(
        "wire",
        [
            Row("udp-echo", "bare echo", samples=[Sample(rtt_p50_us=50.0, rtt_p99_us=70.0)]),
            Row("clawchat", "ours", "0.1", [Sample(3.0, 4.0, 90.0, 150.0, 5.0), Sample(5.0, 4.0, 90.0, 150.0, 5.0)]),
            Row("slow", "theirs", "2.0", [Sample(1.5, 9.0, 200.0, 900.0, 8.0)], failed="slow-server ended early"),
            Row("absent", "theirs too", skipped="not installed: absent"),
        ],
    )


def test_the_first_row_with_a_flow_is_the_reference() -> None:
    reference = comparison().reference
    assert reference is not None
    assert reference.name == "clawchat"


def test_json_holds_medians_rounds_and_comparisons() -> None:
    whole = document("transport", {"seconds": 1.0}, {"comparisons": [comparison_json(comparison())]})
    read = json.loads(json.dumps(whole))
    assert (read["schema"], read["benchmark"]) == (1, "transport")
    assert set(read["machine"]) == {"cpu", "cores", "kernel", "python", "cryptography"}
    peers = {peer["name"]: peer for peer in read["comparisons"][0]["peers"]}
    assert peers["clawchat"]["median"]["goodput_gbit_s"] == 4.0
    assert peers["clawchat"]["rtt_above_udp_echo_us"] == 40.0
    assert [one["goodput_gbit_s"] for one in peers["clawchat"]["rounds"]] == [3.0, 5.0]
    assert peers["slow"]["goodput_ratio"] == 0.5
    assert set(peers["slow"]["median"]) == set(METRICS)


def test_json_says_why_a_peer_has_no_figures() -> None:
    peers = {peer["name"]: peer for peer in comparison_json(comparison())["peers"]}
    assert (peers["absent"]["status"], peers["absent"]["reason"]) == ("skipped", "not installed: absent")
    assert (peers["slow"]["status"], peers["slow"]["reason"]) == ("failed", "slow-server ended early")
    assert (peers["clawchat"]["status"], peers["clawchat"]["reason"]) == ("measured", None)


def test_the_table_shows_every_peer_and_every_reason() -> None:
    shown = io.StringIO()
    Console(file=shown, width=200).print(comparison_table(comparison()))
    for words in (
        "set-up: wire",
        "× clawchat",
        "4.00",
        "90/150",
        "+40",
        "skipped: not installed",
        "failed: slow-server",
    ):
        assert words in shown.getvalue()


def test_a_missing_figure_is_a_dash() -> None:
    assert number(None) == "–"
    assert number(1.234) == "1.23"
    assert number(3.0, 0, plus=True) == "+3"


def test_a_column_without_figures_stays_away() -> None:
    shown = io.StringIO()
    only_trips = Comparison("wire", [Row("udp-echo", "bare echo", samples=[Sample(rtt_p50_us=50.0, rtt_p99_us=70.0)])])
    Console(file=shown, width=200).print(comparison_table(only_trips))
    assert "RTT p50/p99" in shown.getvalue()
    assert "Gbit/s" not in shown.getvalue()


def test_readings_reach_both_readers() -> None:
    readings = [Reading("responder", 3616.4, "handshakes/s of a core", "by whom"), Reading("none", None, "s", "why")]
    shown = io.StringIO()
    Console(file=shown, width=200).print(readings_table("handshakes", readings))
    assert "3616 " in shown.getvalue()
    assert readings_json(readings)[1] == {"name": "none", "value": None, "unit": "s", "note": "why"}
