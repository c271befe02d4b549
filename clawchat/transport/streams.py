"""All streams of a session: who opened what, whose turn it is to send, what the windows allow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, assert_never

from clawchat.transport.flow import ReceiveWindow, SendWindow
from clawchat.transport.runs import StreamRun
from clawchat.transport.stream import ReceiveStream, SendStream
from clawchat.values.errors import ProtocolViolation, UsageError
from clawchat.values.events import (
    Event,
    StreamDelivered,
    StreamOpened,
    StreamReadable,
    StreamReset,
    StreamStopped,
    StreamWritable,
)
from clawchat.values.limits import MAX_SESSION_WINDOW, MAX_STREAM_WINDOW
from clawchat.wire.frames import CloseCode, MaxData, MaxStreamData, MaxStreams, Reset, Stop, encode

StreamFrame = Reset | Stop | MaxData | MaxStreamData | MaxStreams
_STRIDE: Final = 2
"""Stream ids go up in twos: the initiator's are even, the responder's odd."""


class StreamTable:
    """Own the frames STREAM, RESET, STOP and MAX_*, and the two halves of every stream.

    A stream is forgotten when both its halves are done and everything was read; frames that still come for
    it are ignored. Ids run on, so an id below the highest opened that is not held is such a stream.
    """

    __slots__ = (
        "_closed_peer_streams",
        "_controls",
        "_due",
        "_emit",
        "_full",
        "_max_streams",
        "_own_limit",
        "_own_next",
        "_own_parity",
        "_peer_next",
        "_peer_told",
        "_receive_window",
        "_receives",
        "_send_window",
        "_sends",
        "_session",
        "_stream_window",
        "_told",
        "control_pending",
        "ready",
    )

    def __init__(  # noqa: PLR0913 - the parameters both ends agreed on
        self,
        session: int,
        emit: Callable[[Event], None],
        *,
        initiator: bool,
        stream_window: int,
        session_window: int,
        max_streams: int,
    ) -> None:
        self._session = session
        self._emit = emit
        self._stream_window = stream_window
        self._max_streams = max_streams
        self._own_parity = 0 if initiator else 1
        self._own_next = 0
        self._own_limit = max_streams
        self._peer_next = 0
        self._peer_told = max_streams
        self._closed_peer_streams = 0
        self._send_window = SendWindow(session_window)
        self._receive_window = ReceiveWindow(session_window, MAX_SESSION_WINDOW)
        self._sends: dict[int, SendStream] = {}
        self._receives: dict[int, ReceiveStream] = {}
        self.ready: dict[int, SendStream] = {}  # those that may have something to send, in turn
        self._told: set[int] = set()
        self._full: dict[int, int] = {}
        self._due: dict[int, None] = {}
        self._controls: list[bytes] = []
        self.control_pending = False  # whether ``collect_controls`` has something to hand over

    # --- what a program does -----------------------------------------------------------------------

    def open(self) -> int:
        """Open a stream; return its id. Raises UsageError when the peer allows no more."""
        if self._own_next >= self._own_limit:
            raise UsageError(f"the peer allows no more than {self._max_streams} open streams")
        stream = self._own_next * _STRIDE + self._own_parity
        self._own_next += 1
        self._create(stream)
        return stream

    def write(self, stream: int, data: bytes, *, fin: bool) -> None:
        """Queue bytes, and the end with ``fin``. Raises UsageError for a stream that can't be written."""
        half = self._sends.get(stream)
        if half is None:
            raise UsageError(f"there is no stream {stream} to write to")
        half.write(data, fin=fin)
        self.ready[stream] = half

    def room(self, stream: int, limit: int) -> int:
        """Return how many bytes a stream that may hold ``limit`` takes before its writer should wait.

        0 arranges for StreamWritable.
        """
        half = self._sends.get(stream)
        if half is None:
            return 0
        room = max(0, limit - half.buffered)
        if not room:
            self._full[stream] = limit
        return room

    def read(self, stream: int, limit: int) -> bytes:
        """Take received bytes."""
        half = self._receives.get(stream)
        if half is None:
            return b""
        data = half.read(limit)
        if not half.readable:
            self._told.discard(stream)
            self._forget_if_done(stream)
        if half.window_due:
            self._due[stream] = None
            self.control_pending = True
        elif self._receive_window.due:
            self.control_pending = True
        return data

    def at_end(self, stream: int) -> bool:
        """Tell whether everything up to the end was read."""
        half = self._receives.get(stream)
        return half is None or half.at_end

    def reset(self, stream: int, code: int) -> None:
        """Give up sending."""
        half = self._sends.get(stream)
        if half is not None:
            self._controls.append(encode(Reset(stream, code, half.reset())))
            self.control_pending = True
            self.ready.pop(stream, None)
            self._full.pop(stream, None)
            self._forget_if_done(stream)

    def stop(self, stream: int, code: int) -> None:
        """Ask the peer to give up sending."""
        half = self._receives.get(stream)
        if half is not None:
            half.discard()
            self._controls.append(encode(Stop(stream, code)))
            self.control_pending = True
            self._forget_if_done(stream)

    def flushed(self) -> bool:
        """Tell whether everything written and not given up, ends included, is acknowledged."""
        halves = [half for half in self._sends.values() if not half.was_reset]
        return all(not half.buffered and (half.finished or not half.ended) for half in halves)

    # --- what is sent ------------------------------------------------------------------------------

    def collect_controls(self, put: Callable[[bytes], None], *, now: float, rtt: float) -> None:
        """Hand over encoded control frames; ``rtt``, the path's shortest in seconds, tunes the windows."""
        for frame in self._controls:
            put(frame)
        self._controls.clear()
        for stream in self._due:
            half = self._receives.get(stream)
            if half is not None and half.window_due:
                put(encode(MaxStreamData(stream, half.window.advance(now=now, rtt=rtt))))
        self._due.clear()
        self.control_pending = False
        if self._receive_window.due:
            put(encode(MaxData(self._receive_window.advance(now=now, rtt=rtt))))
        if self._peer_needs_streams():
            self._peer_told = self._closed_peer_streams + self._max_streams
            put(encode(MaxStreams(self._peer_told)))

    def _peer_needs_streams(self) -> bool:
        return 2 * (self._peer_told - self._closed_peer_streams) <= self._max_streams

    def ready_bytes(self) -> int:
        """Return how many bytes the stream whose turn it is may send now, windows roughly allowing; 0 for none."""
        for half in self.ready.values():
            size = half.ready_bytes()
            if size:
                return size
        return 0

    def next_run(self, limit: int) -> StreamRun | None:
        """Take the next bytes to send, at most ``limit``, from the streams in turn."""
        ready = self.ready
        for stream, half in ready.items():
            run = half.next_run(limit)
            if run is not None:
                if half.exhausted():
                    del ready[stream]
                elif len(ready) > 1:
                    ready[stream] = ready.pop(stream)
                return run
        return None

    def view(self, stream: int, offset: int, length: int) -> memoryview:
        """Return bytes of a run that was taken."""
        return self._sends[stream].view(offset, length)

    def on_acked(self, run: StreamRun) -> None:
        """Release bytes that arrived."""
        stream = run.stream
        half = self._sends.get(stream)
        if half is None:
            return
        finished = half.on_acked(run)
        if stream in self._full and half.buffered < self._full[stream]:
            del self._full[stream]
            self._emit(StreamWritable(self._session, stream))
        if finished:
            self._emit(StreamDelivered(self._session, stream))
            self._forget_if_done(stream)

    def on_lost(self, run: StreamRun) -> None:
        """Send bytes again."""
        half = self._sends.get(run.stream)
        if half is not None:
            half.on_lost(run)
            self.ready[run.stream] = half

    # --- what arrives ------------------------------------------------------------------------------

    def on_data(self, stream: int, offset: int, data: bytes, *, fin: bool) -> None:
        """Take a STREAM frame. Raises ProtocolViolation."""
        half = self._receives.get(stream) or self._find_receiving(stream)
        if half is None:
            return
        if not half.receive(offset, data, fin=fin):
            # what a discarding half swallows is never read, but fills the session's window
            self.control_pending |= self._receive_window.due
        elif stream not in self._told:
            self._told.add(stream)
            self._emit(StreamReadable(self._session, stream))

    def on_control(self, frame: StreamFrame) -> None:
        """Take a control frame of a stream or of all. Raises ProtocolViolation."""
        match frame:
            case MaxData(limit):
                self._send_window.raise_to(limit)
            case MaxStreams(limit):
                self._own_limit = max(self._own_limit, limit)
            case MaxStreamData(stream, limit):
                self._known(stream)
                sending = self._sends.get(stream)
                if sending is not None:
                    sending.window.raise_to(limit)
            case Stop(stream, code):
                self._known(stream)
                stopped = self._sends.get(stream)
                if stopped is not None and not stopped.was_reset and not stopped.finished:
                    self._emit(StreamStopped(self._session, stream, code))
                    self.reset(stream, code)
            case Reset(stream, code, final):
                receiving = self._find_receiving(stream)
                if receiving is not None and not receiving.complete:
                    receiving.reset(final)
                    self.control_pending |= self._receive_window.due
                    self._emit(StreamReset(self._session, stream, code))
                    self._forget_if_done(stream)
            case _:
                assert_never(frame)

    def _find_receiving(self, stream: int) -> ReceiveStream | None:
        self._known(stream)
        return self._receives.get(stream)

    def _known(self, stream: int) -> None:
        """Open a stream that the peer uses for the first time, and those below it (RFC 9000 section 3.2)."""
        index, parity = divmod(stream, _STRIDE)
        if parity == self._own_parity:
            if index >= self._own_next:
                raise ProtocolViolation(CloseCode.STREAM_STATE, f"stream {stream} was never opened")
            return
        if index >= self._peer_told:
            raise ProtocolViolation(CloseCode.STREAM_STATE, f"stream {stream} is beyond the limit")
        while self._peer_next <= index:
            opened = self._peer_next * _STRIDE + parity
            self._peer_next += 1
            self._create(opened)
            self._emit(StreamOpened(self._session, opened))

    def _create(self, stream: int) -> None:
        self._sends[stream] = SendStream(stream, SendWindow(self._stream_window), self._send_window)
        window = ReceiveWindow(self._stream_window, MAX_STREAM_WINDOW)
        self._receives[stream] = ReceiveStream(window, self._receive_window)

    def _forget_if_done(self, stream: int) -> None:
        sending, receiving = self._sends[stream], self._receives[stream]
        if not receiving.at_end or not (sending.finished or sending.was_reset):
            return
        del self._sends[stream], self._receives[stream]
        self._told.discard(stream)
        self._full.pop(stream, None)
        self.ready.pop(stream, None)
        if stream % _STRIDE != self._own_parity:
            self._closed_peer_streams += 1
            self.control_pending |= self._peer_needs_streams()
