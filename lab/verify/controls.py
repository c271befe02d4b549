"""What the proof must refuse, and what it must not: it is worth no more than these."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from random import Random
from typing import Final, NamedTuple

from clawchat.crypto.keylog import KeyRing, parse
from clawchat.values.limits import BLOCK
from lab.verify import forgeries
from lab.verify.blind import Test
from lab.verify.canaries import Needle, of_text
from lab.verify.frames import ETHERNET, Class, Place
from lab.verify.opening import Reason
from lab.verify.proof import Outcome, Proof, prove
from lab.verify.reading import Capture, Recorded
from lab.verify.rehearsal import Rehearsal, Sent, captured, frame, rehearse
from lab.verify.services import Service

FLOWS: Final = 64
"""Sessions of a control without keys: a bit that is always clear shows in so many of them."""

UDP_LENGTH: Final = slice(38, 40)
"""Where a UDP header behind Ethernet and IPv4 has its length."""

HERE: Final[Place] = ("10.1.0.2", 40_000)


class Case(NamedTuple):
    """A capture, and how it is to be judged."""

    capture: Capture
    ring: KeyRing | None = None
    strict: bool = True
    canaries: Sequence[Needle] = ()


class Control(NamedTuple):
    """A case and its verdict; ``because`` is in the reasons, so that it is refused for what is wrong with it."""

    name: str
    make: Callable[[], Case]
    outcome: Outcome
    because: str = ""


def judge(control: Control) -> Proof:
    """Try the proof on a control."""
    case = control.make()
    return prove(case.capture, case.ring, strict=case.strict, canaries=case.canaries)


def wrong() -> Iterator[tuple[str, str]]:
    """Try all controls; yield those that did not come out as they must, with what came out."""
    for control in CONTROLS:
        proof = judge(control)
        if proof.outcome is not control.outcome:
            yield control.name, f"{proof.outcome} instead of {control.outcome}"
        elif control.because and not any(control.because in reason for reason in proof.reasons):
            yield control.name, f"{proof.outcome}, but not because of: {control.because}"


@cache
def _rehearsal() -> Rehearsal:
    return rehearse()


def _keyed(change: Callable[[list[Sent], Random], object], *, strict: bool = True) -> Callable[[], Case]:
    """Return a genuine session with its keys, of which something was changed."""

    def make() -> Case:
        sent = list(_rehearsal().sent)
        change(sent, Random(7))
        return Case(captured(sent), parse(_rehearsal().keylog), strict, list(of_text(_rehearsal().text)))

    return make


def _added(payload: bytes, port: int = 9) -> Callable[[], Case]:
    return _keyed(lambda sent, _: sent.append(Sent(HERE, ("203.0.113.9", port), payload)))


def _allowed(payload: bytes, port: int = 9) -> Callable[[], Case]:
    return _keyed(lambda sent, _: sent.append(Sent(HERE, ("203.0.113.9", port), payload)), strict=False)


def _replaced(change: Callable[[bytes], bytes]) -> Callable[[], Case]:
    def put(sent: list[Sent], chance: Random) -> None:
        at = chance.randrange(len(sent))
        sent[at] = sent[at]._replace(payload=change(sent[at].payload))

    return _keyed(put)


def _flipped(at: int) -> Callable[[], Case]:
    def flip(payload: bytes) -> bytes:
        changed = bytearray(payload)
        changed[at] ^= 1
        return bytes(changed)

    return _replaced(flip)


def _sealed_again(body: bytes) -> Callable[[], Case]:
    """Return a session in which somebody with its keys sealed another body under a number that was used."""
    return _keyed(lambda sent, _: sent.append(forgeries.sealed_again(sent, parse(_rehearsal().keylog), body)))


def _blind(
    disguise: Callable[[Random, int, int], bytes],
    *,
    flows: int = FLOWS,
    each: int = 4,
    canaries: Sequence[Needle] = (),
) -> Callable[[], Case]:
    """Return flows whose datagrams a function of chance, flow and number made, to be judged without keys."""

    def make() -> Case:
        chance = Random(11)
        sent = [
            Sent(("10.1.0.2", 40_000 + flow), ("203.0.113.9", 50_000), disguise(chance, flow, number))
            for number in range(each)
            for flow in range(flows)
        ]
        return Case(captured(sent), canaries=canaries)

    return make


def _length_lies() -> Case:
    case = _keyed(lambda _sent, _chance: None)()
    lying = bytearray(frame(_rehearsal().sent[0]))
    lying[UDP_LENGTH] = bytes(1) + bytes((BLOCK,))
    case.capture.add(Recorded("wire", 0, ETHERNET, bytes(lying), whole=True))
    return case


NAME: Final = "anna.lindqvist"
STUN_REQUEST: Final = struct.pack(">HHI12s", 1, 0, 0x2112A442, b"transaction!")
MAP_REQUEST: Final = struct.pack(">BBHHHI", 0, 1, 0, 40_000, 40_000, 3600)
REFUTED: Final = Outcome.REFUTED

CONTROLS: Final = (
    Control("a genuine session", _keyed(lambda _sent, _chance: None), Outcome.PROVEN),
    Control("a datagram seen again", _keyed(lambda sent, _: sent.append(sent[3])), Outcome.PROVEN),
    Control("a flipped bit in a header", _flipped(3), REFUTED, Reason.CLOSED),
    Control("a flipped bit in a body", _flipped(20), REFUTED, Reason.CLOSED),
    Control("a flipped bit in a tag", _flipped(-1), REFUTED, Reason.CLOSED),
    Control("a truncated datagram", _replaced(lambda payload: payload[:-16]), REFUTED, Reason.CLOSED),
    Control("a datagram with one byte more", _replaced(lambda payload: payload + b"\0"), REFUTED, Reason.CLOSED),
    Control("an empty datagram", _added(b""), REFUTED, Reason.CLOSED),
    Control("random bytes that are not ours", _added(Random(5).randbytes(200)), REFUTED, Reason.CLOSED),
    Control("a repeated key and packet number", _sealed_again(b"\x01" + bytes(31)), REFUTED, Reason.REPEATED),
    Control("frames without a meaning", _sealed_again(b"\xff" * 32), REFUTED, Reason.CLOSED),
    Control("a UDP header that lies about its length", _length_lies, REFUTED, Class.MALFORMED),
    Control("a plain-text message", _added(b"hello, are you there?"), REFUTED, Reason.CLOSED),
    Control("a JSON PUNCH", _added(b'{"type":"PUNCH","from":"10.1.0.2:40000"}'), REFUTED, Reason.CLOSED),
    Control("a STUN request", _added(STUN_REQUEST, 3478), REFUTED, Service.STUN),
    Control("a STUN request, which was allowed", _allowed(STUN_REQUEST, 3478), Outcome.PROVEN),
    Control("a port mapping", _added(MAP_REQUEST, 5351), REFUTED, Service.PORT_MAPPING),
    Control("a port mapping, which was allowed", _allowed(MAP_REQUEST, 5351), Outcome.PROVEN),
    *(
        Control(f"{name}, in a session with keys", _added(make(Random(3), 0, 0)), REFUTED, Reason.CLOSED)
        for name, make in forgeries.DISGUISES.items()
    ),
    Control("random bytes, without keys", _blind(forgeries.random_bytes), Outcome.UNPROVEN, "no key log"),
    *(
        Control(f"{name}, without keys", _blind(make), REFUTED, Test.COLUMN)
        for name, make in forgeries.DISGUISES.items()
    ),
    Control("text, without keys", _blind(forgeries.text), REFUTED, Test.BYTES),
    Control("base64 of ciphertext", _blind(forgeries.armoured), REFUTED, Test.BITS),
    Control("a session id in the clear", _blind(forgeries.clear_id, flows=4, each=40), REFUTED, Test.COLUMN),
    Control("a packet counter in the clear", _blind(forgeries.counter, flows=4, each=40), REFUTED, Test.COLUMN),
    Control("a repeated block", _blind(forgeries.repeated_block, flows=4), REFUTED, Test.BLOCK),
    Control("one length", _blind(forgeries.one_length), REFUTED, Test.LENGTH),
    Control("an address in its own payload", _blind(forgeries.address), REFUTED, Test.CANARY),
    *(
        Control(f"a name as {form}", _blind(make, canaries=tuple(of_text(NAME))), REFUTED, Test.CANARY)
        for form, make in forgeries.spellings(NAME).items()
    ),
)
