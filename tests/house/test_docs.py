"""The documents: what they draw is what the code does, and what they point at is there."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

from clawchat.crypto.credential import make_slot
from clawchat.crypto.header import HeaderCipher
from clawchat.crypto.noise import OVERHEAD, Initiator
from clawchat.values.address import Address, encode_address
from clawchat.values.limits import BLOCK, TAG
from clawchat.wire import frames, rotation
from clawchat.wire.frames import FrameType
from clawchat.wire.handshake import (
    Hello,
    SessionParameters,
    Welcome,
    open_hello,
    open_welcome,
    seal_hello,
    seal_welcome,
    unseal_hello,
)
from scripts import byte_layouts, diagrams

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(CHECKOUT.glob("*.md")), *sorted(CHECKOUT.glob("docs/*.md"))]
LINK = re.compile(r"\]\((?!https?:|mailto:)(?P<place>[^)#\s]*)(?:#(?P<heading>[^)\s]*))?\)")

HERE = Address("203.0.113.1", 7)
SAMPLES: dict[FrameType, tuple[frames.Frame, int]] = {
    FrameType.PADDING: (frames.Padding(16), 15),
    FrameType.PING: (frames.Ping(), 0),
    FrameType.ACK: (frames.Ack(((9, 12), (1, 2)), 0), 8),
    FrameType.STREAM: (frames.Stream(1, 2, True, b"data"), 4),
    FrameType.RESET: (frames.Reset(1, 2, 3), 0),
    FrameType.STOP: (frames.Stop(1, 2), 0),
    FrameType.MAX_DATA: (frames.MaxData(1), 0),
    FrameType.MAX_STREAM_DATA: (frames.MaxStreamData(1, 2), 0),
    FrameType.MAX_STREAMS: (frames.MaxStreams(1), 0),
    FrameType.DATAGRAM: (frames.Datagram(b"data"), 4),
    FrameType.CLOSE: (frames.Close(1, "why"), 3),
    FrameType.PATH_CHALLENGE: (frames.PathChallenge(bytes(8)), 0),
    FrameType.PATH_RESPONSE: (frames.PathResponse(bytes(8), HERE), 7),
    FrameType.CANDIDATES: (frames.Candidates(1, (HERE, HERE)), 14),
    FrameType.PUNCH: (frames.Punch(1, 2), 0),
    FrameType.REGISTER: (frames.Register(bytes(16)), 0),
    FrameType.FORWARD: (frames.Forward(bytes(16), b"data"), 4),
    FrameType.REKEY_1: (rotation.Rekey1(1, bytes(32)), 0),
    FrameType.REKEY_2: (rotation.Rekey2(1, bytes(32)), 0),
    FrameType.REKEY_PLEASE: (rotation.RekeyPlease(1), 0),
    FrameType.MOVE_PORT: (rotation.MovePort(1, 30, (HERE, HERE)), 14),
    FrameType.COMPROMISED: (rotation.Compromised(rotation.Scope.ALL), 0),
}
"""One frame of each type, with how many of its bytes the drawing leaves open."""


@pytest.mark.parametrize("kind", list(FrameType))
def test_a_drawn_frame_has_the_bytes_of_a_coded_one(kind: FrameType) -> None:
    frame, open_bytes = SAMPLES[kind]
    coded = frames.encode(frame)
    fields = byte_layouts.FRAMES[kind]
    assert (len(coded), coded[0]) == (sum(field.size for field in fields) + open_bytes, int(fields[0].label, 16))


class Listening(Initiator):
    """An initiator that keeps the payload it opened."""

    payload: bytes = b""

    def read_welcome(self, message: bytes) -> bytearray:
        opened = super().read_welcome(message)
        self.payload = bytes(opened)
        return opened


def test_the_drawn_handshake_has_the_bytes_of_the_coded_one() -> None:
    random = Random(1).randbytes
    slot = make_slot(
        random, name="s", hello_header_key=random(32), candidates=[HERE], relays=[], timestamp=0, validity=60
    )
    credential, keys = slot.credential, slot.credential.keys()
    initiator = Listening(credential.prologue(), keys.psk, credential.server_key, random(32))
    hello = Hello(random(8), random(32), (HERE, HERE), bucket=1)
    datagram = seal_hello(credential, keys, initiator, hello, random=random, size=256)
    message = unseal_hello(datagram, slot)
    assert len(message) - OVERHEAD == _drawn("hello payload") + 2 * len(encode_address(HERE))

    opened, responder = open_hello(message, slot)
    welcome = Welcome(random(8), random(32), HERE, (HERE,), SessionParameters(1, 2, 3, 4, 5))
    answer = seal_welcome(
        keys, responder, opened, HeaderCipher(random(32)), welcome, ephemeral=random(32), random=random, size=256
    )
    open_welcome(answer, keys, initiator, hello)
    assert len(initiator.payload) == _drawn("welcome payload") + 2 * len(encode_address(HERE))
    assert _drawn("hello") == _drawn("welcome") == _drawn("data") == BLOCK + TAG
    assert _drawn("address") == len(encode_address(HERE))


def _drawn(layout: str) -> int:
    return sum(field.size for field in byte_layouts.LAYOUTS[layout])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_is_made_from_code_is_up_to_date(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert diagrams.renewed(text) == text, "run .venv/bin/python scripts/diagrams.py"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    broken = [link.group() for link in LINK.finditer(text) if not _leads(document, link["place"], link["heading"])]
    assert broken == []


def _leads(document: Path, place: str, heading: str | None) -> bool:
    target = document.parent / place if place else document
    if not target.exists():
        return False
    return not heading or heading in _headings(target.read_text(encoding="utf-8"))


def _headings(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_reason_for_a_drop_is_explained() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (CHECKOUT / "clawchat").rglob("*.py"))
    told = set(re.findall(r'BadDatagram\("(\w+)"\)|drops\["(\w+)"\]', code))
    dissecting = set(re.findall(r'BadDatagram\("(\w+)"\)', (CHECKOUT / "clawchat/wire/dissect.py").read_text("utf-8")))
    text = (CHECKOUT / "docs/OPERATIONS.md").read_text(encoding="utf-8")
    reasons = {one or other for one, other in told} - (dissecting - {"length", "noise"})
    assert [reason for reason in sorted(reasons) if f"`{reason}`" not in text] == []


def test_a_split_field_is_drawn_as_one() -> None:
    drawn = byte_layouts.boxes((byte_layouts.Field("head", 16), byte_layouts.Field("rest")))
    assert drawn.splitlines()[1:] == [
        "+" + "-" * 63 + "+",
        "|" + "head".center(63) + "|",
        "+" + " " * 63 + "+",
        "|" + " " * 63 + "|",
        "+" + "-" * 63 + "+",
        "|" + "rest".center(63) + "|",
        "+" + "-" * 63 + "+",
    ]
