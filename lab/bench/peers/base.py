"""The surface of a peer, and the measurements that several peers share."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import math
import shutil
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

from lab.bench.figures import Sample, bulk_sample
from lab.bench.stage import PORT, SERVER_ADDRESS, PeerFailedError, Program, Stage, cpu_seconds

PATIENCE: Final = 30.0
"""Seconds that a measurement may take beyond its planned time before the peer counts as failed."""

IPERF_PORT: Final = 5201

LISTEN: Final = (SERVER_ADDRESS, str(PORT))
"""Host and port of a server, as arguments of our end programs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured in one round."""

    seconds: float = 3.0
    """Length of a bulk flow."""
    echoes: int = 2000
    """Round trips of 64 bytes, one after the other."""
    setups: int = 10
    """Fresh associations, one after the other, whose median counts."""
    pinned: bool = False
    """Each end gets one core of its own, so that round trips do not depend on where the system puts programs."""


class Peer(ABC):
    """Something a person could use to move bytes from one machine to another."""

    name: str
    what: str
    """One line for the table: what runs, and how."""

    def missing(self) -> str | None:
        """Return why this peer cannot be measured on this machine, or None."""
        return None

    def version(self) -> str | None:
        """Return the version of the program or library that is measured, if it has one."""
        return None

    def prepare(self, stage: Stage) -> None:  # noqa: B027 - most peers need nothing
        """Make keys and configuration, once a run."""

    @abstractmethod
    def measure(self, stage: Stage, plan: Plan) -> Sample:
        """Start both ends, take every figure this peer has, and leave the ending of programs to the stage."""


def missing_programs(*programs: str) -> str | None:
    """Return what to say when one of the programs is not installed."""
    absent = [program for program in programs if not shutil.which(program)]
    return f"not installed: {', '.join(absent)}" if absent else None


def missing_package(package: str) -> str | None:
    """Return what to say when a Python package is not installed."""
    return None if importlib.util.find_spec(package) else f"Python package not installed: {package}"


def package_version(package: str) -> str | None:
    """Return the version of an installed Python package, None without one."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        # A checkout that runs without being installed has none.
        return None


def program_version(*argv: str) -> str | None:
    """Return the first number with a dot that a program prints about itself."""
    try:
        said = subprocess.run(argv, capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return next((word.lstrip("v") for word in said.split() if word.lstrip("v")[:1].isdigit() and "." in word), None)


def measure_ends(stage: Stage, plan: Plan, client: Program, *, bulk: bool = True) -> Sample:
    """Take all figures from a ready client program of ours; count the time of every program on the stage."""
    setup = client.ask(f"setup {plan.setups}", PATIENCE)["setup_ms"]
    trips = client.ask(f"echo {plan.echoes}", PATIENCE)
    goodput = cpu = None
    if bulk:
        before = cpu_seconds(stage.process_ids())
        moved = client.ask(f"bulk {plan.seconds}", plan.seconds + PATIENCE)
        used = cpu_seconds(stage.process_ids()) - before
        goodput, cpu = bulk_sample(moved["bytes"], moved["seconds"], used)
    return Sample(goodput, cpu, trips["rtt_p50_us"], trips["rtt_p99_us"], setup)


def measure_iperf(stage: Stage, plan: Plan, address: str, *options: str) -> tuple[float, float]:
    """Return goodput in Gbit/s and CPU s/GiB of one iperf3 flow from client to server.

    iperf3 reports the processor time of both its ends; that of programs already on the stage, such as a tunnel's,
    is added.
    """
    helpers = stage.process_ids()
    before = cpu_seconds(helpers)
    server = stage.start(stage.server, "iperf3", "-s", "-1", "-p", str(IPERF_PORT), "--forceflush")
    server.line(PATIENCE)
    # iperf3 reads whole seconds only, and takes 0 for ever.
    length = str(math.ceil(plan.seconds))
    argv = ("iperf3", "-c", address, "-p", str(IPERF_PORT), "-t", length, "-J", *options)
    client = stage.start(stage.client, *argv)
    try:
        output, _ = client.process.communicate(timeout=plan.seconds + PATIENCE)
        report = json.loads(output)
    except subprocess.TimeoutExpired:
        raise client.failure("did not end") from None
    except ValueError as error:
        raise client.failure("gave no report") from error
    if "error" in report:
        raise PeerFailedError(f"iperf3: {report['error']}")
    moved, busy = report["end"]["sum_received"], report["end"]["cpu_utilization_percent"]
    used = (busy["host_total"] + busy["remote_total"]) / 100 * moved["seconds"]
    return bulk_sample(moved["bytes"], moved["seconds"], used + cpu_seconds(helpers) - before)
