"""A pytest plugin: NATs for tests, in the simulator or, with real programs, in namespaces and containers.

    pytest -p lab.pytest_natlab --natlab-require=netns

    natlab                     the laboratory, a fixture: `natlab.session("cgnat", "open")`, `natlab.world(plan)`
    @pytest.mark.nat(a=, b=)   a client behind a meets a server behind b; the test fails unless it comes to `expect`
    nat                        what became of that session

A test that needs what this machine lacks is skipped, and the skip names it; `--natlab-require` makes it fail.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import pytest

from lab import netns
from lab.matrix.expected import Verdict, expected
from lab.matrix.result import CellResult, Matrix, Run
from lab.model.plan import Plan
from lab.model.presets import preset

if TYPE_CHECKING:
    from lab.backends.netns.world import World

SIM: Final = "sim"
NETNS: Final = "netns"
COMPOSE: Final = "compose"
BACKENDS: Final = (SIM, NETNS, COMPOSE)
MARK: Final = "nat"


class Lab:
    """The laboratory of a test session; whatever it cannot have here skips the test that asks for it."""

    def __init__(self, required: Sequence[str]) -> None:
        self._required = frozenset(required)
        self._missing: dict[str, str | None] = {SIM: None}

    def missing(self, backend: str) -> str | None:
        """Return what this machine lacks for a backend, None if it lacks nothing."""
        if backend not in self._missing:
            self._missing[backend] = _missing(backend)
        return self._missing[backend]

    def require(self, backend: str) -> None:
        """Skip the test if a backend cannot be had; fail if `--natlab-require` names it."""
        lacks = self.missing(backend)
        if lacks is None:
            return
        reason = f"natlab: no {backend} here: this machine lacks {lacks}"
        if backend in self._required:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

    def session(self, a: str, b: str, *, backend: str = SIM, runs: int = 1) -> CellResult:
        """Let a client behind a preset meet a server behind another one, and say what became of it.

        Raises ValueError for an unknown preset or backend.
        """
        pair = preset(a).name, preset(b).name
        self.require(backend)
        return _matrix(pair, backend, runs).cells[0]

    @contextlib.contextmanager
    def world(self, plan: Plan) -> Iterator[World]:
        """Build a plan of namespaces, and lend it."""
        self.require(NETNS)
        from lab.backends.netns.world import opened

        with opened(plan) as world:
            yield world


def _missing(backend: str) -> str | None:
    if backend == NETNS:
        return netns.available()
    if backend == COMPOSE:
        from lab.backends.compose import engine

        return engine.missing()
    raise ValueError(f"no backend is called {backend!r}; there are {', '.join(BACKENDS)}")


def _matrix(pair: tuple[str, str], backend: str, runs: int) -> Matrix:
    if backend == SIM:
        from lab.matrix.simulated import try_simulated

        return try_simulated([pair], runs=runs)
    from lab.matrix.namespaces import try_containers, try_namespaces

    return (try_namespaces if backend == NETNS else try_containers)([pair], runs=runs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that turns skips into failures."""
    group = parser.getgroup("natlab")
    group.addoption(
        "--natlab-require",
        default="",
        metavar="BACKENDS",
        help=f"fail, rather than skip, where one of these cannot be had: {NETNS},{COMPOSE}",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    mark = f"{MARK}(a, b, expect=, backend='{SIM}', runs=1): a client behind NAT a meets a server behind b"
    config.addinivalue_line("markers", mark)
    unknown = set(required(config)) - set(BACKENDS)
    if unknown:
        raise pytest.UsageError(f"--natlab-require: no backend is called {', '.join(sorted(unknown))}")


def required(config: pytest.Config) -> list[str]:
    """Return the backends that must be there."""
    words: str = config.getoption("--natlab-require")
    return [word.strip() for word in words.split(",") if word.strip()]


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Let a marked test have its session even if it does not look at it."""
    if item.get_closest_marker(MARK) and isinstance(item, pytest.Function) and MARK not in item.fixturenames:
        item.fixturenames.append(MARK)


@pytest.fixture(scope="session")
def natlab(pytestconfig: pytest.Config) -> Lab:
    """Lend the laboratory."""
    return Lab(required(pytestconfig))


@pytest.fixture
def nat(request: pytest.FixtureRequest, natlab: Lab) -> Run:
    """Run the session that the test's mark describes, and return what became of it."""
    mark = request.node.get_closest_marker(MARK)
    if mark is None or mark.args or not {"a", "b"} <= set(mark.kwargs):
        pytest.fail("natlab: the test needs a mark: @pytest.mark.nat(a=..., b=..., expect=...)", pytrace=False)
    return met(natlab, **mark.kwargs)


def met(  # noqa: PLR0913 - what a mark says
    lab: Lab, a: str, b: str, *, expect: str | None = None, backend: str = SIM, runs: int = 1
) -> Run:
    """Run a session; fail the test unless every run came to what is expected, and could be proven."""
    cell = lab.session(a, b, backend=backend, runs=runs)
    wanted = expected(a, b) if expect is None else Verdict(expect)
    for run in cell.runs:
        if run.verdict is not wanted or not run.sound:
            again = cell.again(backend)
            proof = f", {run.proof}" if run.proof else ""
            pytest.fail(f"{a} x {b}: {run.verdict} ({run.reason}{proof}), not {wanted}; again: {again}", pytrace=False)
    return cell.runs[0]
