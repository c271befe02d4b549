"""A repeated HELLO gets no second answer: minutes later, months later, or after a restart."""

from __future__ import annotations

import copy
from random import Random

import pytest

from clawchat.crypto.credential import Slot, make_slot
from clawchat.session.endpoint import Endpoint
from clawchat.session.hellos import BUCKET_SECONDS, SeenHellos
from clawchat.values.address import Address, Path
from clawchat.values.errors import BadDatagram
from clawchat.values.limits import MAX_SEEN_HELLOS

SERVER = Path(0, Address("203.0.113.1", 50_000))
CLIENT = Path(0, Address("203.0.113.2", 50_000))


def refusal(seen: SeenHellos, ephemeral: bytes) -> str:
    with pytest.raises(BadDatagram) as refused:
        seen.check(ephemeral)
    return refused.value.reason


@pytest.mark.parametrize("reusable", [False, True])
def test_a_repeat_is_refused(reusable: bool) -> None:  # noqa: FBT001 - a case
    seen = SeenHellos(reusable=reusable)
    seen.check(b"a")
    seen.add(b"a", 100)
    assert refusal(seen, b"a") == "repeat"
    seen.check(b"b")


def test_a_slot_for_one_client_can_be_flooded_by_its_holder_only_so_far() -> None:
    seen = SeenHellos(reusable=False)
    for number in range(MAX_SEEN_HELLOS):
        seen.add(number.to_bytes(4, "big"), 0)
    assert refusal(seen, b"one more") == "flood"


def test_a_reusable_slot_forgets_what_could_no_longer_be_repeated() -> None:
    seen = SeenHellos(reusable=True)
    for bucket in range(100, 200):
        seen.judge(bucket + 1, bucket)
        seen.add(bucket.to_bytes(4, "big"), bucket)
    assert refusal(seen, (196).to_bytes(4, "big")) == "repeat"
    seen.check((195).to_bytes(4, "big"))
    with pytest.raises(BadDatagram, match="bucket"):
        seen.judge(195, 199)


@pytest.mark.parametrize("claimed", [None, 98, 102])
def test_a_hello_to_a_reusable_slot_is_of_about_now(claimed: int | None) -> None:
    with pytest.raises(BadDatagram, match="bucket"):
        SeenHellos(reusable=True).judge(claimed, 100)
    SeenHellos(reusable=False).judge(claimed, 100)


def relay(slot: Slot, unix_offset: float) -> Endpoint:
    endpoint = Endpoint(random=Random(f"{unix_offset}").randbytes)
    endpoint.unix_offset = unix_offset
    endpoint.arm(slot, deadline=1e9)
    return endpoint


@pytest.mark.parametrize(("later", "answers"), [(0.0, 1), (3.0 * BUCKET_SECONDS, 0)])
def test_a_recorded_hello_is_not_answered_after_a_restart(later: float, answers: int) -> None:
    chance = Random(7)
    slot = make_slot(
        chance.randbytes,
        name="relay",
        hello_header_key=chance.randbytes(32),
        candidates=[SERVER.remote],
        relays=[],
        timestamp=0,
        validity=1 << 30,
        reusable=True,
    )
    client = Endpoint(random=chance.randbytes)
    client.unix_offset = 1e9
    client.connect(copy.deepcopy(slot.credential), port=0, now=0.0)
    [hello] = client.transmits(now=0.0)
    restarted = relay(slot, 1e9 + later)
    restarted.receive(memoryview(hello.data), len(hello.data), CLIENT, now=0.0)
    assert len(restarted.transmits(now=0.0)) == answers
