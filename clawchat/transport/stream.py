"""The two halves of a stream: bytes to be sent until they are acknowledged, bytes received until they are read."""

from __future__ import annotations

from collections import deque

from clawchat.transport.flow import ReceiveWindow, SendWindow
from clawchat.transport.reassembly import Reassembly
from clawchat.transport.runs import StreamRun
from clawchat.transport.sendbuffer import SendBuffer
from clawchat.values.errors import ProtocolViolation, UsageError
from clawchat.values.ranges import RangeSet
from clawchat.wire.frames import CloseCode


class SendStream:
    """The sending half: cut written bytes into runs, and send again what is lost.

    A run may be reported acknowledged or lost in pieces, more than once and in any order. New bytes are
    taken from ``window``, the stream's, and from the session's window.
    """

    __slots__ = (
        "_acked",
        "_acked_to",
        "_buffer",
        "_ended",
        "_fin_acked",
        "_fin_sent",
        "_lost",
        "_reset",
        "_session",
        "stream",
        "window",
    )

    def __init__(self, stream: int, window: SendWindow, session: SendWindow) -> None:
        self.stream = stream
        self.window = window
        self._session = session
        self._buffer = SendBuffer()
        self._acked_to = 0  # every byte below is acknowledged
        self._acked = RangeSet()  # and these beyond it
        self._lost = RangeSet()  # to be sent again, never acknowledged
        self._ended = self._fin_sent = self._fin_acked = self._reset = False

    def write(self, data: bytes, *, fin: bool = False) -> None:
        """Take bytes to send, by reference; ``fin`` ends the stream after them."""
        if self._ended or self._reset:
            raise UsageError(f"stream {self.stream} has ended")
        self._buffer.append(bytes(data))
        self._ended = fin

    def next_run(self, max_bytes: int) -> StreamRun | None:
        """Take the next bytes to send, at most ``max_bytes``: first what was lost, then what is new.

        None when there is nothing or flow control holds it back. A run of no bytes carries FIN alone.
        """
        if max_bytes <= 0:
            return None
        end = self._buffer.end
        window = self.window
        if self._lost:
            offset, stop = self._lost.lowest()
            stop = min(stop, offset + max_bytes)
            self._lost.subtract(offset, stop)
        else:
            offset = window.used
            session = self._session
            length = min(max_bytes, end - offset, window.limit - offset, session.limit - session.used)
            if length <= 0 and (offset < end or not self._ended or self._fin_sent):
                return None
            stop = offset + length
            window.used = stop
            session.used += length
        fin = self._ended and stop == end
        if fin:
            self._fin_sent = True
        return StreamRun(self.stream, offset, stop - offset, fin)

    def view(self, offset: int, length: int) -> memoryview:
        """Return bytes of a run that was taken and not yet acknowledged, without a copy where possible."""
        return self._buffer.view(offset, length)

    def on_acked(self, run: StreamRun) -> bool:
        """Release the bytes of a run that arrived; tell whether nothing is missing any more."""
        if self._reset or self.finished:
            return False
        offset = run.offset
        stop = offset + run.length
        if self._lost:
            self._lost.subtract(offset, stop)
        if offset <= self._acked_to and not self._acked:
            if stop > self._acked_to:
                self._acked_to = stop
                self._buffer.release(stop)
        elif run.length and stop > self._acked_to:
            self._acked.add(max(offset, self._acked_to), stop)
            lowest, reached = self._acked.lowest()
            if lowest == self._acked_to:
                self._acked.subtract(lowest, reached)
                self._acked_to = reached
                self._buffer.release(reached)
        if run.fin:
            self._fin_sent = self._fin_acked = True
        return self.finished

    def on_lost(self, run: StreamRun) -> None:
        """Send a run again, less what has been acknowledged meanwhile."""
        if self._reset:
            return
        for start, stop in self._acked.gaps(max(run.offset, self._acked_to), run.offset + run.length):
            self._lost.add(start, stop)
        if run.fin and not self._fin_acked:
            self._fin_sent = False

    def reset(self) -> int:
        """Give the stream up: drop everything, send nothing more; return its final size."""
        self._reset = True
        self._ended = False
        self._buffer = SendBuffer()
        self._lost.clear()
        return self.window.used

    @property
    def finished(self) -> bool:
        """Tell whether the stream has ended and all of it is acknowledged."""
        return self._fin_acked and self._acked_to == self._buffer.end

    @property
    def ended(self) -> bool:
        """Tell whether nothing more can be written."""
        return self._ended or self._reset

    @property
    def was_reset(self) -> bool:
        """Tell whether the stream was given up."""
        return self._reset

    def ready_bytes(self) -> int:
        """Return how many bytes wait to be sent while some window is left, 1 for FIN alone, 0 for nothing."""
        if self._lost:
            return self._lost.size()
        window = self.window
        new = self._buffer.end - window.used
        if new > 0:
            return new if window.limit > window.used and self._session.limit > self._session.used else 0
        return 1 if self._ended and not self._fin_sent else 0

    def exhausted(self) -> bool:
        """Tell whether nothing waits to be sent, whatever the windows allow."""
        return self.window.used == self._buffer.end and not self._lost and (self._fin_sent or not self._ended)

    @property
    def unsent(self) -> int:
        """Count the bytes written and never sent."""
        return 0 if self._reset else self._buffer.end - self.window.used

    @property
    def buffered(self) -> int:
        """Count the bytes written and not yet acknowledged as a whole: what the stream holds in memory."""
        return 0 if self._reset else self._buffer.end - self._acked_to


class ReceiveStream:
    """The receiving half: put bytes in order and keep them until they are read.

    ``readable`` counts the bytes that ``read`` would return. Bytes are charged to ``window``, the stream's,
    and to the session's window.
    """

    __slots__ = ("_discard", "_final", "_head", "_next", "_pieces", "_ready", "_session", "readable", "window")

    def __init__(self, window: ReceiveWindow, session: ReceiveWindow) -> None:
        self.window = window
        self.readable = 0
        self._session = session
        self._next = 0  # every byte below has arrived
        self._pieces = Reassembly()
        self._ready: deque[bytes] = deque()
        self._head = 0  # so much of the first ready chunk has been read
        self._final: int | None = None
        self._discard = False

    def receive(self, offset: int, data: bytes | memoryview, *, fin: bool = False) -> bool:
        """Take bytes at an offset; tell whether there is more to read, or the end to be seen.

        A memoryview is copied. Raises ProtocolViolation for bytes beyond a window or the final size, and
        for another final size (RFC 9000 sections 4.1 and 4.5).
        """
        window = self.window
        if fin or offset != self._next or offset != window.received or self._final is not None or self._discard:
            return self._receive_any(offset, data, fin=fin)
        length = len(data)
        window.receive(length)
        self._session.receive(length)
        self._next += length
        self.readable += length
        if length:
            self._ready.append(bytes(data))
        return length > 0

    def read(self, limit: int = -1) -> bytes:
        """Return bytes in order: all that are ready, or at most ``limit``; b"" only when none are.

        A chunk that was received as a whole is returned as it is when that keeps within the limit, so
        there may be fewer bytes than the limit allows though more are ready.
        """
        ready = self._ready
        if not ready or not limit:
            return b""
        if 0 < limit < len(ready[0]) - self._head:
            data = ready[0][self._head : self._head + limit]
            self._head += limit
        else:
            data = self._next_chunk()
            if ready and (limit < 0 or len(data) + len(ready[0]) <= limit):
                parts = [data]
                size = len(data)
                while ready and (limit < 0 or size + len(ready[0]) <= limit):
                    size += len(ready[0])
                    parts.append(ready.popleft())
                data = b"".join(parts)
        self.readable -= len(data)
        self._consume(len(data))
        return data

    def take(self) -> list[bytes]:
        """Return all bytes that are ready as the chunks they came in, never copied."""
        chunks = [self._next_chunk(), *self._ready] if self._ready else []
        self._ready.clear()
        self._consume(self.readable)
        self.readable = 0
        return chunks

    def reset(self, final: int) -> None:
        """Take the peer's word that it gives the stream up after ``final`` bytes; drop what is unread.

        Raises ProtocolViolation as ``receive`` does.
        """
        self._receive_any(final, b"", fin=True)
        self.discard()

    def discard(self) -> None:
        """Drop what is unread and whatever still comes; both count as read, so that the session flows on."""
        self._discard = True
        self._ready.clear()
        self._pieces.clear()
        self._head = self.readable = 0
        self._consume(self.window.received - self.window.consumed)

    @property
    def at_end(self) -> bool:
        """Tell whether everything up to the end has been read."""
        return self._final is not None and not self.readable and (self._next == self._final or self._discard)

    @property
    def complete(self) -> bool:
        """Tell whether everything up to the end has arrived, or was given up."""
        return self._final is not None and (self._next == self._final or self._discard)

    @property
    def window_due(self) -> bool:
        """Tell whether the peer should be told a new limit; never after the end is known."""
        return self._final is None and self.window.due

    def _receive_any(self, offset: int, data: bytes | memoryview, *, fin: bool) -> bool:
        stop = offset + len(data)
        received = self.window.received
        if self._final is not None:
            if stop > self._final or (fin and stop != self._final):
                raise ProtocolViolation(CloseCode.FINAL_SIZE, f"the stream ended at {self._final}, not at {stop}")
        elif fin and stop < received:
            raise ProtocolViolation(CloseCode.FINAL_SIZE, f"the stream ends at {stop} but reached {received}")
        if stop > received:
            self.window.receive(stop - received)
            self._session.receive(stop - received)
        news = fin and self._final is None
        if fin:
            self._final = stop
        if self._discard:
            self._consume(self.window.received - self.window.consumed)
            return False
        before = self._next
        if offset > before:
            if stop > offset:
                self._pieces.insert(offset, bytes(data))
        elif stop > before:
            self._deliver(bytes(data[before - offset :]))
            for piece in self._pieces.take(self._next):
                self._deliver(piece)
        return self._next > before or (news and self._next == self._final)

    def _deliver(self, data: bytes) -> None:
        self._ready.append(data)
        self._next += len(data)
        self.readable += len(data)

    def _next_chunk(self) -> bytes:
        chunk = self._ready.popleft()
        if self._head:
            chunk = chunk[self._head :]
            self._head = 0
        return chunk

    def _consume(self, size: int) -> None:
        self.window.consumed += size
        self._session.consumed += size
