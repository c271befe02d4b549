"""The simulator's clock: what is called, in which order, and when a run stops."""

from __future__ import annotations

from lab.sim.clock import Clock


def test_calls_of_one_moment_are_made_in_the_order_they_were_asked_for() -> None:
    clock, made = Clock(), list[str]()

    def begin() -> None:
        made.append("begin")
        clock.soon(made.append, "soon")
        clock.at(0.5, made.append, "long ago")
        clock.at(1.0, made.append, "now")

    clock.at(1.0, begin)
    clock.at(2.0, made.append, "later")
    clock.at(1.0, made.append, "put off until now")
    clock.run(3.0)
    assert made == ["begin", "put off until now", "soon", "long ago", "now", "later"]


def test_what_no_program_can_notice_stops_no_run() -> None:
    clock, made = Clock(), list[str]()
    clock.at(1.0, made.append, "hop", seen=False)
    clock.at(2.0, made.append, "arrival")
    clock.at(3.0, made.append, "next")
    assert clock.run(9.0, stop=lambda: bool(made))
    assert made == ["hop", "arrival"]
