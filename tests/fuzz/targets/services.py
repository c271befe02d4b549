"""The chat: its bytes, its hub, what it writes down; and what else runs over streams."""

from __future__ import annotations

import json

from clawchat.net.control import parse_line
from clawchat.services.chat_client import ChatClient
from clawchat.services.chat_codec import ClientDecoder, ServerDecoder, encode
from clawchat.services.chat_hub import LEFT, LOST, Hub
from clawchat.services.chat_ledger import Ledger
from clawchat.services.chat_memory import ClientMemory
from clawchat.services.chat_queue import MAX_QUEUED
from clawchat.services.framing import ObjectReader
from clawchat.services.handover import HandoverReader
from clawchat.services.preface import PrefaceReader
from clawchat.values.errors import ProtocolViolation

EVERYTHING = 1 << 20


def _in_pieces(data: bytes) -> list[bytes]:
    """Cut data after a number of bytes that its first one tells."""
    cut = data[0] if data else 0
    return [data[1 : 1 + cut], data[1 + cut :]]


def to_server(data: bytes) -> None:
    """What decodes encodes to what decodes to the same; all else is a ProtocolViolation."""
    decoder = ServerDecoder()
    try:
        found = [message for piece in _in_pieces(data) for message in decoder.feed(piece)]
    except ProtocolViolation:
        return
    assert ServerDecoder().feed(b"".join(map(encode, found))) == found


def to_client(data: bytes) -> None:
    """What decodes encodes to what decodes to the same; all else is a ProtocolViolation."""
    decoder = ClientDecoder()
    try:
        found = [message for piece in _in_pieces(data) for message in decoder.feed(piece)]
    except ProtocolViolation:
        return
    assert ClientDecoder().feed(b"".join(map(encode, found))) == found


def client(data: bytes) -> None:
    """A client takes whatever a server says, or finds it a ProtocolViolation."""
    machine = ChatClient("ann", token="t")
    machine.start()
    try:
        for piece in _in_pieces(data):
            machine.receive(piece)
    except ProtocolViolation:
        return


def hub(data: bytes) -> None:
    """A hub takes whatever its members say, and no queue grows past its bound."""
    ledger = Ledger()
    made = Hub(server="home", ledger=ledger)
    members = [made.attach() for _ in range(3)]
    decoders = [ServerDecoder() for _ in members]
    pieces = data.split(b"\n\n")
    for number, piece in enumerate(pieces):
        who = number % len(members)
        try:
            for message in decoders[who].feed(len(piece).to_bytes(4, "big") + piece):
                made.receive(members[who], message, unix_now=1)
        except ProtocolViolation:
            decoders[who] = ServerDecoder()
            made.detach(members[who], LOST if number % 2 else LEFT)
            members[who] = made.attach()
    assert all(len(made.take(member, EVERYTHING)) <= MAX_QUEUED + 1 for member in members)
    again = Ledger(ledger.records())
    assert (again.said, again.undelivered.keys(), again.rooms) == (ledger.said, ledger.undelivered.keys(), ledger.rooms)


def records(data: bytes) -> None:
    """A journal's record is one, or a ValueError or ProtocolViolation."""
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(record, dict):
        return
    for memory in (Ledger, ClientMemory):
        try:
            memory([record])
        except (ValueError, ProtocolViolation):
            continue


def framing(data: bytes) -> None:
    """Objects, or a ProtocolViolation; never more than one unfinished object is held."""
    reader = ObjectReader()
    try:
        for piece in _in_pieces(data):
            reader.feed(piece)
    except ProtocolViolation:
        return


def preface(data: bytes) -> None:
    """A preface, or a ProtocolViolation."""
    reader = PrefaceReader()
    try:
        for piece in _in_pieces(data):
            if reader.feed(piece) is not None:
                return
    except ProtocolViolation:
        return


def handover(data: bytes) -> None:
    """A credential, or a ProtocolViolation."""
    reader = HandoverReader()
    try:
        reader.feed(data)
        reader.finish()
    except ProtocolViolation:
        return


def control_line(data: bytes) -> None:
    """A line of the control socket is an object, or None."""
    assert isinstance(parse_line(data), dict | None)


TARGETS = {
    "to_server": to_server,
    "to_client": to_client,
    "client": client,
    "hub": hub,
    "records": records,
    "framing": framing,
    "preface": preface,
    "handover": handover,
    "control_line": control_line,
}
