"""DATA packets: a batch is, byte for byte, what its packets are when they are sealed and opened one by one."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from clawchat.crypto.header import HeaderCipher
from clawchat.values.errors import BadDatagram
from clawchat.values.limits import BLOCK, MAX_BATCH_BYTES, MAX_SEGMENTS, MIN_PACKET, MTU_PROBES, OVERHEAD, TAG
from clawchat.wire.frames import STREAM_HEADER, Ping, Stream, encode, padded, stream_header
from clawchat.wire.packet import (
    BATCH_SIZES,
    BatchOpener,
    BatchSealer,
    Run,
    capacity,
    seal,
    split_number,
    unseal,
)

AEAD, OTHER_AEAD = AESGCM(b"k" * 32), AESGCM(b"K" * 32)
MASK = HeaderCipher(b"m" * 32)
CID, OTHER_CID = b"receiver", b"somebody"
SIZES = st.sampled_from(sorted(BATCH_SIZES))
TOP = (1 << 64) - 1


def packet(number: int, body: bytes, *, cid: bytes = CID) -> bytes:
    return seal(AEAD, MASK, cid, number, body)


def open_one(datagram: bytes) -> tuple[bytes, int, bytes]:
    header = MASK.unmask(datagram[:BLOCK])
    return header[:8], split_number(header), unseal(AEAD, header, datagram)


def ones(size: int, number: int, stream: int, offset: int, data: bytes) -> list[bytes]:
    """Seal stream bytes as a batch would be, packet by packet."""
    chunk = size - OVERHEAD - STREAM_HEADER
    return [
        packet(number + n, stream_header(stream, offset + n * chunk, chunk, fin=False) + data[n * chunk :][:chunk])
        for n in range(len(data) // chunk)
    ]


# --- one packet ---------------------------------------------------------------------------------------


@given(st.binary(min_size=8, max_size=8), st.integers(0, TOP), st.binary(max_size=1440).map(padded))
def test_what_is_sealed_opens(cid: bytes, number: int, body: bytes) -> None:
    datagram = packet(number, body, cid=cid)
    assert len(datagram) == len(body) + OVERHEAD >= MIN_PACKET
    assert open_one(datagram) == (cid, number, body)


@pytest.mark.parametrize("bit", range(8 * MIN_PACKET))
def test_every_bit_counts(bit: int) -> None:
    flipped = bytearray(packet(77, padded(encode(Ping()))))
    flipped[bit >> 3] ^= 1 << (bit & 7)
    header = MASK.unmask(bytes(flipped[:BLOCK]))
    with pytest.raises(BadDatagram, match="tag"):
        unseal(AEAD, header, bytes(flipped))


@pytest.mark.parametrize("length", range(BLOCK, MIN_PACKET))
def test_no_part_of_a_packet_opens(length: int) -> None:
    datagram = packet(77, padded(encode(Ping())))[:length]
    with pytest.raises(BadDatagram, match="tag"):
        unseal(AEAD, MASK.unmask(datagram[:BLOCK]), datagram)


def test_no_two_packets_share_their_first_block() -> None:
    assert len({packet(number, bytes(16))[:BLOCK] for number in range(1000)}) == 1000


# --- a batch ------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    size=SIZES,
    count=st.integers(1, MAX_SEGMENTS),
    number=st.integers(0, TOP - MAX_SEGMENTS),
    stream=st.integers(0, (1 << 32) - 1),
    offset=st.integers(0, 1 << 62),
    seed=st.integers(0, 1000),
)
def test_a_batch_is_sealed_as_its_packets_are(  # noqa: PLR0913 - what a batch consists of
    size: int, count: int, number: int, stream: int, offset: int, seed: int
) -> None:
    sealer = SEALERS[size]
    count = min(count, sealer.capacity)
    data = random.Random(seed).randbytes(count * sealer.chunk)
    sealed = sealer.seal_stream(AEAD, MASK, CID, number, stream, offset, memoryview(data))
    assert bytes(sealed) == b"".join(ones(size, number, stream, offset, data))


@settings(max_examples=60)
@given(
    size=SIZES,
    count=st.integers(1, MAX_SEGMENTS),
    number=st.integers(0, TOP - MAX_SEGMENTS),
    stream=st.integers(0, (1 << 32) - 1),
    offset=st.integers(0, 1 << 62),
    seed=st.integers(0, 1000),
)
def test_a_batch_is_opened_as_its_packets_are(  # noqa: PLR0913 - what a batch consists of
    size: int, count: int, number: int, stream: int, offset: int, seed: int
) -> None:
    opener = OPENERS[size]
    count = min(count, opener.capacity)
    data = random.Random(seed).randbytes(count * (size - OVERHEAD - STREAM_HEADER))
    datagrams = ones(size, number, stream, offset, data)
    assert opener.load(memoryview(b"".join(datagrams)), MASK) == count
    (run,) = opener.runs(count)
    assert run == Run(CID, number, 0, count)
    assert opener.open(AEAD, run)
    assert opener.stream(run) == (stream, offset, data)
    for index, datagram in enumerate(datagrams):
        assert opener.packet(index) == datagram
        assert (opener.header(index)[:8], split_number(opener.header(index)), opener.body(index)) == open_one(datagram)


@settings(max_examples=100)
@given(
    size=SIZES,
    plan=st.lists(
        st.tuples(st.sampled_from([CID, OTHER_CID]), st.integers(0, 4), st.integers(1, 8)), min_size=1, max_size=6
    ),
    start=st.sampled_from([0, 1 << 48, TOP - 60]),
)
def test_runs_break_where_the_cid_changes_or_a_number_is_missing(
    size: int, plan: list[tuple[bytes, int, int]], start: int
) -> None:
    opener = OPENERS[size]
    datagrams: list[bytes] = []
    headers: list[tuple[bytes, int]] = []
    number = start
    for cid, skipped, count in plan:
        number += skipped
        for _ in range(count):
            if number <= TOP and len(datagrams) < opener.capacity:
                datagrams.append(packet(number, bytes(size - OVERHEAD), cid=cid))
                headers.append((cid, number))
            number += 1
    count = opener.load(memoryview(b"".join(datagrams)), MASK)
    runs = list(opener.runs(count))
    assert [(run.cid, run.number + n) for run in runs for n in range(run.length)] == headers
    assert [run.start for run in runs] == [sum(run.length for run in runs[:index]) for index in range(len(runs))]
    for before, after in pairwise(runs):
        assert (before.cid, before.number + before.length) != (after.cid, after.number)


@settings(max_examples=50)
@given(size=SIZES, count=st.integers(2, 10), broken=st.integers(0, 9), bit=st.integers(0, 8 * 1472 - 1))
def test_one_bit_spoils_a_run(size: int, count: int, broken: int, bit: int) -> None:
    opener = OPENERS[size]
    datagrams = [packet(number, bytes(size - OVERHEAD)) for number in range(count)]
    flipped = bytearray(datagrams[broken % count])
    bit = 8 * BLOCK + bit % (8 * (size - BLOCK))
    flipped[bit >> 3] ^= 1 << (bit & 7)
    datagrams[broken % count] = bytes(flipped)
    (run,) = opener.runs(opener.load(memoryview(b"".join(datagrams)), MASK))
    assert not opener.open(AEAD, run)
    for index in range(count):
        one = Run(CID, index, index, 1)
        assert opener.open(AEAD, one) == (index != broken % count)


def test_another_key_opens_nothing() -> None:
    opener = OPENERS[1200]
    (run,) = opener.runs(opener.load(memoryview(packet(1, bytes(1168)) + packet(2, bytes(1168))), MASK))
    assert not opener.open(OTHER_AEAD, run)


BODY = 1200 - OVERHEAD
CHUNK = BODY - STREAM_HEADER


def full(stream: int, offset: int, *, fin: bool = False) -> bytes:
    return encode(Stream(stream, offset, fin, bytes(CHUNK)))


@pytest.mark.parametrize(
    "bodies",
    [
        [full(4, 0), full(4, CHUNK + 1)],
        [full(4, 0), full(6, CHUNK)],
        [full(4, 0), full(4, CHUNK, fin=True)],
        [full(4, 0, fin=True)],
        [full(4, 0), encode(Stream(4, CHUNK, fin=False, data=bytes(CHUNK - 1))) + b"\0"],
        [full(4, 0), encode(Ping()) * BODY],
        [bytes(BODY)],
        [full(4, (1 << 63) - CHUNK)],
    ],
)
def test_what_is_no_stretch_of_one_stream_is_not_taken_for_one(bodies: list[bytes]) -> None:
    opener = OPENERS[1200]
    datagrams = [packet(number, body) for number, body in enumerate(bodies)]
    (run,) = opener.runs(opener.load(memoryview(b"".join(datagrams)), MASK))
    assert opener.open(AEAD, run)
    assert opener.stream(run) is None
    assert [opener.body(index) for index in range(len(bodies))] == bodies


def test_buffers_are_used_in_turn() -> None:
    """What was sealed stays as it is until that many more batches were sealed."""
    sealer = BatchSealer(1200, 3)
    batches = []
    for number in range(3):
        sealed = sealer.seal_stream(AEAD, MASK, CID, number * 10, 0, 0, memoryview(bytes([number]) * 5 * sealer.chunk))
        batches.append((sealed, bytes(sealed)))
    assert all(sealed == copy for sealed, copy in batches)
    sealer.seal_stream(AEAD, MASK, CID, 99, 0, 0, memoryview(bytes(5 * sealer.chunk)))
    assert batches[0][0] != batches[0][1]
    assert all(sealed == copy for sealed, copy in batches[1:])


@pytest.mark.parametrize("size", sorted(BATCH_SIZES))
def test_a_batch_fits_one_send(size: int) -> None:
    assert 1 < capacity(size) <= MAX_SEGMENTS
    assert capacity(size) * size <= MAX_BATCH_BYTES
    assert (size - OVERHEAD) % BLOCK == 0  # so that a padded packet is never longer than its path carries
    assert TAG + BLOCK == OVERHEAD


def test_every_size_that_is_probed_can_be_sent_in_batches() -> None:
    assert set(MTU_PROBES) < BATCH_SIZES


SEALERS = {size: BatchSealer(size, 2) for size in BATCH_SIZES}
OPENERS = {size: BatchOpener(size) for size in BATCH_SIZES}
