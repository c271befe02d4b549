"""Frames and other byte layouts as docs/ draws them: what stands where, eight bytes a row."""

from __future__ import annotations

from typing import Final, NamedTuple

from clawchat.wire.frames import FrameType

ROW_BYTES: Final = 8
BYTE_COLUMNS: Final = 8


class Field(NamedTuple):
    """A stretch of bytes; a size of 0 stands for as many as the content takes."""

    label: str
    size: int = 0


FRAMES: Final[dict[FrameType, tuple[Field, ...]]] = {
    FrameType.PADDING: (Field("00", 1), Field("00 to the end of the packet")),
    FrameType.PING: (Field("01", 1),),
    FrameType.ACK: (
        Field("02", 1),
        Field("count", 1),
        Field("delay", 2),
        Field("first", 4),
        Field("largest", 8),
        Field("count × ( gap u32, length u32 )"),
    ),
    FrameType.STREAM: (
        Field("03", 1),
        Field("flags", 1),
        Field("length", 2),
        Field("stream", 4),
        Field("offset", 8),
        Field("data (length bytes)"),
    ),
    FrameType.RESET: (Field("04", 1), Field("0", 1), Field("code", 2), Field("stream", 4), Field("final size", 8)),
    FrameType.STOP: (Field("05", 1), Field("0", 1), Field("code", 2), Field("stream", 4)),
    FrameType.MAX_DATA: (Field("06", 1), Field("limit", 8)),
    FrameType.MAX_STREAM_DATA: (Field("07", 1), Field("stream", 4), Field("limit", 8)),
    FrameType.MAX_STREAMS: (Field("08", 1), Field("count", 4)),
    FrameType.DATAGRAM: (Field("09", 1), Field("length", 2), Field("data (length bytes)")),
    FrameType.CLOSE: (Field("0A", 1), Field("code", 2), Field("length", 2), Field("reason (UTF-8)")),
    FrameType.PATH_CHALLENGE: (Field("0B", 1), Field("token", 8)),
    FrameType.PATH_RESPONSE: (Field("0C", 1), Field("token", 8), Field("observed address (7 or 19)")),
    FrameType.CANDIDATES: (
        Field("0D", 1),
        Field("generation", 4),
        Field("count", 1),
        Field("spares", 1),
        Field("ports", 1),
        Field("unless ports is 0: NAT"),
        Field("count + spares × address (7 or 19)"),
    ),
    FrameType.PUNCH: (Field("0E", 1), Field("round", 1), Field("generation", 4)),
    FrameType.REGISTER: (Field("0F", 1), Field("box", 16)),
    FrameType.FORWARD: (Field("10", 1), Field("length", 2), Field("box", 16), Field("datagram (length bytes)")),
    FrameType.REKEY_1: (Field("11", 1), Field("epoch", 2), Field("public key", 32)),
    FrameType.REKEY_2: (Field("12", 1), Field("epoch", 2), Field("public key", 32)),
    FrameType.REKEY_PLEASE: (Field("13", 1), Field("epoch", 2)),
    FrameType.MOVE_PORT: (
        Field("14", 1),
        Field("generation", 4),
        Field("grace", 2),
        Field("count", 1),
        Field("count × address (7 or 19)"),
    ),
    FrameType.COMPROMISED: (Field("15", 1), Field("scope", 1)),
}


ADDRESS: Final = "address (7 or 19)"
LAYOUTS: Final[dict[str, tuple[Field, ...]]] = {
    "hello": (
        Field("H = AES( hello header key, slot id 8 | random 8 )", 16),
        Field("sealed: length 2 | Noise message 1 | 00 …"),
        Field("tag", 16),
    ),
    "hello payload": (
        Field("version", 1),
        Field("flags", 1),
        Field("client's cid", 8),
        Field("client's header key", 32),
        Field("count", 1),
        Field(f"count × {ADDRESS}"),
        Field("time bucket, only if flags & 1", 4),
    ),
    "welcome": (
        Field("H = AES( client's header key, cid 8 | FFFF | random 6 )", 16),
        Field("sealed: length 2 | Noise message 2 | 00 …"),
        Field("tag", 16),
    ),
    "welcome payload": (
        Field("version", 1),
        Field("server's cid", 8),
        Field("server's header key", 32),
        Field(f"observed {ADDRESS}"),
        Field("count", 1),
        Field(f"count × {ADDRESS}"),
        Field("max stream data", 4),
        Field("max data", 4),
        Field("max streams", 2),
        Field("max datagram", 2),
        Field("idle timeout", 2),
    ),
    "data header": (Field("receiver's cid", 8), Field("epoch", 2), Field("packet number", 6)),
    "data": (
        Field("AES( receiver's header key, header )", 16),
        Field("sealed: frames | 00 …"),
        Field("tag", 16),
    ),
    "nonce": (Field("0", 4), Field("epoch", 2), Field("packet number", 6)),
    "address": (Field("4 or 6", 1), Field("IPv4 address", 4), Field("port", 2)),
}


class Piece(NamedTuple):
    """The part of a field that lies in one row."""

    field: int
    start: int
    stop: int
    label: str


def pieces(fields: tuple[Field, ...]) -> list[list[Piece]]:
    """Lay fields out in rows of eight bytes; a field of unknown size ends with the row that has room for its name."""
    rows: list[list[Piece]] = [[]]
    at = 0
    for index, (label, size) in enumerate(fields):
        if at == ROW_BYTES:
            rows.append([])
            at = 0
        here = ROW_BYTES - at
        left = size or (here if len(label) < here * BYTE_COLUMNS else here + ROW_BYTES)
        # The name of a field that is split stands in its widest part.
        name_in = int(min(left - here, ROW_BYTES) > here)
        part = 0
        while left:
            if at == ROW_BYTES:
                rows.append([])
                at = 0
            width = min(left, ROW_BYTES - at)
            rows[-1].append(Piece(index, at, at + width, label if part == name_in else ""))
            at, left, part = at + width, left - width, part + 1
    return rows


def edge(above: list[Piece], below: list[Piece]) -> str:
    """Draw the line between two rows, open where one field goes on."""

    def owner(row: list[Piece], byte: int) -> int | None:
        return next((piece.field for piece in row if piece.start <= byte < piece.stop), None)

    bars = {side * BYTE_COLUMNS for row in (above, below) for piece in row for side in (piece.start, piece.stop)}
    line = ""
    for column in range(ROW_BYTES * BYTE_COLUMNS + 1):
        byte = min(column // BYTE_COLUMNS, ROW_BYTES - 1)
        up, down = owner(above, byte), owner(below, byte)
        drawn = up != down
        line += "+" if column in bars else "-" if drawn else " "
    return line.rstrip()


def boxes(fields: tuple[Field, ...]) -> str:
    """Draw a byte layout, eight bytes a row."""
    rows = pieces(fields)
    ruler = "".join(f"{byte:<{BYTE_COLUMNS}}" for byte in range(ROW_BYTES + 1)).rstrip()
    drawing = [ruler]
    for above, row in zip([[], *rows], rows, strict=False):
        drawing.append(edge(above, row))
        cells = [piece.label.center((piece.stop - piece.start) * BYTE_COLUMNS - 1) for piece in row]
        drawing.append("|" + "|".join(cells) + "|")
    return "\n".join([*drawing, edge(rows[-1], [])])


def layout(name: str) -> str:
    """Draw one of the layouts above."""
    return f"```text\n{boxes(LAYOUTS[name])}\n```\n"


def frames() -> str:
    """Draw every frame."""
    return "\n\n".join(f"**{kind.name}**\n\n```text\n{boxes(FRAMES[kind])}\n```" for kind in FrameType) + "\n"
