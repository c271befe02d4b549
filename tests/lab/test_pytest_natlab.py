"""The plugin that gives other tests their NATs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.matrix.expected import Verdict
from lab.matrix.result import Run
from lab.model.plan import plan
from lab.model.topology import row
from lab.pytest_natlab import Lab

pytest_plugins = ["pytester"]

CHECKOUT = Path(__file__).parents[2]
MARKED = """
import pytest

@pytest.mark.nat(a="port-restricted", b="symmetric-random", expect="{expect}", backend="{backend}")
def test_meets():
    pass
"""


def run(pytester: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(test)
    # The bindings of cryptography can be loaded once in a process, so the inner tests have one of their own.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(CHECKOUT))
        return pytester.runpytest_subprocess("-p", "lab.pytest_natlab", "-rs", "-p", "no:cacheprovider", *options)


def outcome(pytester: pytest.Pytester, test: str, *options: str) -> tuple[dict[str, int], str]:
    done = run(pytester, test, *options)
    return done.parseoutcomes(), done.stdout.str()


def test_a_marked_test_meets_through_its_nats(pytester: pytest.Pytester) -> None:
    assert outcome(pytester, MARKED.format(expect="direct", backend="sim"))[0] == {"passed": 1}


def test_a_session_that_comes_to_something_else_fails_the_test(pytester: pytest.Pytester) -> None:
    found, told = outcome(pytester, MARKED.format(expect="relay", backend="sim"))
    assert found == {"errors": 1}
    assert "port-restricted x symmetric-random: direct (guessed" in told
    assert "not relay; again: python -m lab matrix --backend sim --pair port-restricted,symmetric-random" in told


def test_what_is_missing_skips_by_name_or_fails(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "from lab import pytest_natlab\npytest_natlab._missing = lambda _backend: 'the program ip (package iproute2)'\n"
    )
    test = MARKED.format(expect="direct", backend="netns")
    found, told = outcome(pytester, test)
    assert found == {"skipped": 1}
    assert "natlab: no netns here: this machine lacks the program ip (package iproute2)" in told
    found, told = outcome(pytester, test, "--natlab-require=netns,compose")
    assert found == {"errors": 1}
    assert "natlab: no netns here" in told


def test_an_unknown_backend_is_refused(pytester: pytest.Pytester) -> None:
    assert run(pytester, "", "--natlab-require=cloud").ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.nat(a="poisonable-home", b="poisonable-home", expect="direct", runs=5)
def test_both_gateways_may_take_what_nobody_asked_for(nat: Run) -> None:
    assert nat.reason == "punched"
    assert nat.proof is not None
    assert nat.proof.answered == nat.proof.asked


@pytest.mark.nat(a="symmetric-random", b="symmetric-random")
def test_without_a_word_the_expected_verdict_is_the_expected_one(nat: Run) -> None:
    assert nat.verdict is Verdict.RELAY


@pytest.mark.netns
@pytest.mark.nat(a="poisonable-home", b="poisonable-home", expect="direct", backend="netns", runs=3)
def test_and_so_they_may_with_real_programs() -> None:
    pass


@pytest.mark.netns
def test_a_world_is_lent(natlab: Lab) -> None:
    with natlab.world(plan(row(["double", "open"]))) as world:
        assert "10.1.0.2" in world.namespace("g1-a").ip("-4", "address")


def test_an_unknown_preset_is_told(natlab: Lab) -> None:
    with pytest.raises(ValueError, match="did you mean 'double'"):
        natlab.session("doubel", "open")
