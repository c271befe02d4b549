from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat.portmap.choice import Standing, choose
from clawchat.nat.portmap.epoch import EpochWatch
from clawchat.nat.portmap.lease import LONGEST, Lease, Protocol, Refusal
from clawchat.nat.portmap.mapper import TRANSITIONS, WAITS, Able, Granted, Heard, Mapper, Refused, State, Trigger
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram, UsageError
from clawchat.values.timers import NEVER

INTERNAL = Address("192.168.1.2", 50_000)
EXTERNAL = Address("203.0.113.9", 50_000)
ELSEWHERE = Address("203.0.113.77", 50_000)


class Words:
    """A protocol whose datagrams say in English what they mean; ``heard`` is what each answer stands for."""

    protocol = Protocol.NAT_PMP

    def __init__(self, **heard: Heard) -> None:
        self.heard = heard

    def probe(self) -> bytes:
        return b"probe"

    def request(self, external: Address | None, lifetime: int) -> bytes:
        return f"map {external} {lifetime}".encode()

    def read(self, data: bytes) -> Heard:
        try:
            return self.heard[data.decode()]
        except (KeyError, UnicodeDecodeError) as error:
            raise BadDatagram("portmap") from error


def mapper() -> Mapper:
    return Mapper(
        Words(
            able=Able(100, EXTERNAL.host),
            able_later=Able(160, EXTERNAL.host),
            able_moved=Able(160, ELSEWHERE.host),
            restarted=Able(3, EXTERNAL.host),
            granted=Granted(EXTERNAL, 1200, 101),
            granted_again=Granted(EXTERNAL, 1200, 160),
            granted_anew=Granted(ELSEWHERE, 600, 4),
            granted_forever=Granted(EXTERNAL, 0xFFFFFFFF, 101),
            ended=Granted(EXTERNAL, 0, 102),
            refused=Refused("NO", final=True),
        ),
        INTERNAL,
    )


def able() -> Mapper:
    machine = mapper()
    machine.probe(now=0.0)
    machine.receive(b"able", now=0.0)
    return machine


def holding() -> Mapper:
    machine = able()
    machine.ask(now=1.0, external=EXTERNAL)
    machine.receive(b"granted", now=1.0)
    return machine


def run_out(machine: Mapper) -> list[float]:
    """Let time pass until nothing is due; return when something was sent."""
    sent = []
    while (now := machine.next_timeout()) != NEVER:
        if machine.transmits(now=now):
            sent.append(now)
    return sent


class TestTalk:
    def test_probe_ask_and_hold(self) -> None:
        machine = mapper()
        machine.probe(now=0.0)
        assert machine.transmits(now=0.0) == [b"probe"]
        machine.receive(b"able", now=0.1)
        machine.ask(now=0.2, external=EXTERNAL)
        assert machine.transmits(now=0.2) == [b"map 203.0.113.9:50000 1200"]
        machine.receive(b"granted", now=0.3)
        assert machine.lease == Lease(Protocol.NAT_PMP, EXTERNAL, INTERNAL, 0.3, 1200.0)
        assert (machine.state, machine.busy, machine.next_timeout()) == (State.MAPPED, False, NEVER)

    def test_a_silent_router_is_asked_three_times(self) -> None:
        machine = mapper()
        machine.probe(now=5.0)
        assert run_out(machine) == [5.0, 5.25, 5.75]
        assert (machine.state, machine.refusal) == (State.UNABLE, Refusal(Protocol.NAT_PMP, "no answer"))
        assert sum(WAITS) < 1.5

    def test_a_router_where_nothing_listens_is_given_up_at_once(self) -> None:
        machine = mapper()
        machine.probe(now=0.0)
        machine.unreachable()
        assert (machine.state, machine.refusal) == (State.UNABLE, Refusal(Protocol.NAT_PMP, "nothing listens there"))

    def test_a_refusal_is_told(self) -> None:
        machine = able()
        machine.ask(now=1.0)
        machine.receive(b"refused", now=1.1)
        assert (machine.state, machine.lease) == (State.UNABLE, None)
        assert machine.refusal == Refusal(Protocol.NAT_PMP, "NO")

    def test_who_was_refused_may_probe_again(self) -> None:
        machine = mapper()
        machine.probe(now=0.0)
        machine.receive(b"refused", now=0.1)
        machine.probe(now=600.0)
        machine.receive(b"able", now=600.1)
        assert machine.state is State.ABLE

    def test_a_router_that_grants_for_ever_is_believed_for_a_day(self) -> None:
        machine = able()
        machine.ask(now=1.0)
        machine.receive(b"granted_forever", now=1.0)
        assert machine.lease is not None
        assert machine.lease.lifetime == LONGEST


class TestHolding:
    def test_a_renewal_asks_for_the_same_and_starts_the_time_anew(self) -> None:
        machine = holding()
        machine.ask(now=601.0)
        assert machine.transmits(now=601.0) == [b"map 203.0.113.9:50000 1200"]
        machine.receive(b"granted_again", now=601.5)
        assert machine.lease is not None
        assert machine.lease.granted_at == 601.5

    def test_a_router_silent_to_a_renewal_still_holds(self) -> None:
        machine = holding()
        machine.ask(now=601.0)
        run_out(machine)
        assert machine.state is State.MAPPED
        assert machine.lease is not None
        assert machine.lease.granted_at == 1.0

    def test_a_renewal_that_is_refused_is_the_end(self) -> None:
        machine = holding()
        machine.ask(now=601.0)
        machine.receive(b"refused", now=601.1)
        assert (machine.state, machine.lease) == (State.UNABLE, None)

    def test_a_look_finds_everything_in_place(self) -> None:
        machine = holding()
        machine.probe(now=61.0)
        machine.receive(b"able_later", now=61.0)
        assert (machine.state, machine.busy) == (State.MAPPED, False)

    @pytest.mark.parametrize("answer", [b"restarted", b"able_moved"])
    def test_a_router_that_restarted_or_moved_is_asked_again_at_once(self, answer: bytes) -> None:
        machine = holding()
        machine.probe(now=61.0)
        machine.receive(answer, now=61.0)
        assert machine.state is State.RENEWING
        assert machine.transmits(now=61.0) == [b"map 203.0.113.9:50000 1200"]
        machine.receive(b"granted_anew", now=61.1)
        assert machine.lease is not None
        assert machine.lease.external == ELSEWHERE

    def test_giving_back(self) -> None:
        machine = holding()
        machine.release(now=9.0)
        assert machine.lease is None
        assert machine.transmits(now=9.0) == [b"map 203.0.113.9:50000 0"]
        machine.receive(b"ended", now=9.1)
        assert (machine.state, machine.busy) == (State.IDLE, False)

    def test_giving_back_to_the_silent_ends_too(self) -> None:
        machine = holding()
        machine.release(now=9.0)
        assert len(run_out(machine)) == 3
        assert machine.state is State.IDLE


class TestTable:
    @pytest.mark.parametrize(
        ("state", "trigger"),
        [
            (state, trigger)
            for state, trigger in product(State, (Trigger.PROBE, Trigger.ASK, Trigger.RELEASE))
            if trigger not in TRANSITIONS[state]
        ],
    )
    def test_a_call_out_of_place_is_refused(self, state: State, trigger: Trigger) -> None:
        machine = mapper()
        machine.state = state
        call = {Trigger.PROBE: machine.probe, Trigger.ASK: machine.ask, Trigger.RELEASE: machine.release}[trigger]
        with pytest.raises(UsageError):
            call(now=0.0)

    @given(
        steps=st.lists(
            st.sampled_from(
                ["probe", "ask", "release", "wait", "unreachable", b"able", b"able_later", b"able_moved", b"restarted",
                 b"granted", b"granted_again", b"granted_anew", b"ended", b"refused", b"junk"]
            ),
            max_size=40,
        )
    )  # fmt: skip
    def test_whatever_happens_a_lease_is_held_in_the_right_states_only(self, steps: list[str | bytes]) -> None:
        machine = mapper()
        now = 0.0
        for step in steps:
            now += 0.1
            try:
                match step:
                    case bytes():
                        machine.receive(step, now=now)
                    case "wait":
                        now = max(now, min(machine.next_timeout(), now + 10))
                        machine.transmits(now=now)
                    case "unreachable":
                        machine.unreachable()
                    case _:
                        getattr(machine, step)(now=now)
            except (BadDatagram, UsageError):
                continue
        held = machine.state in {State.MAPPED, State.CHECKING, State.RENEWING}
        assert (machine.lease is not None) is held
        assert machine.busy is (machine.next_timeout() != NEVER)


class TestLease:
    LEASE = Lease(Protocol.PCP, EXTERNAL, INTERNAL, 100.0, 1200.0)

    def test_it_is_renewed_at_half_its_time_and_twice_more(self) -> None:
        assert [self.LEASE.renew_at(tries) for tries in range(4)] == [700.0, 1000.0, 1150.0, None]
        assert self.LEASE.expires_at == 1300.0

    def test_a_short_one_is_not_renewed_all_the_time(self) -> None:
        assert [self.LEASE._replace(lifetime=10.0).renew_at(tries) for tries in range(3)] == [105.0, 108.0, None]
        assert self.LEASE._replace(lifetime=3.0).renew_at(0) is None


class TestEpoch:
    @pytest.mark.parametrize(
        ("epoch", "after", "restarted"),
        [
            (1060, 60, False),
            (1061, 60, False),
            (1055, 60, False),
            (1050, 60, True),
            (1070, 60, True),
            (0, 60, True),
            (999, 0, False),
            (998, 0, True),
            (4600, 3600, False),
            (4400, 3600, False),
            (4300, 3600, True),
            (4900, 3600, True),
        ],
    )
    def test_a_clock_that_is_off_has_restarted(self, epoch: int, after: float, *, restarted: bool) -> None:
        watch = EpochWatch()
        assert not watch.restarted(1000, now=50.0)
        assert watch.restarted(epoch, now=50.0 + after) is restarted

    def test_after_a_restart_the_new_clock_counts(self) -> None:
        watch = EpochWatch()
        watch.restarted(1000, now=0.0)
        assert watch.restarted(5, now=10.0)
        assert not watch.restarted(15, now=20.0)


def every_choice() -> list[tuple[tuple[Standing, ...], bool, Protocol | None]]:
    """Say for all standings of the three what is to be chosen, in words of its own."""
    table = []
    for standings in product(Standing, repeat=3):
        best = next((place for place, each in enumerate(standings) if each is Standing.ABLE), None)
        waiting = next((place for place, each in enumerate(standings) if each is Standing.UNKNOWN), 3)
        protocol = None if best is None else tuple(Protocol)[best]
        table.append((standings, False, protocol))
        table.append((standings, True, protocol if best is not None and best < waiting else None))
    return table


@pytest.mark.parametrize(("standings", "patient", "protocol"), every_choice())
def test_the_best_is_chosen_as_soon_as_it_is_known(
    standings: tuple[Standing, ...], protocol: Protocol | None, *, patient: bool
) -> None:
    assert choose(dict(zip(Protocol, standings, strict=True)), patient=patient) is protocol
