"""Machines that move data (floor 2): loss recovery, congestion control, pacing, streams and flow control.

Their unit is the run: consecutive packets, or consecutive bytes of a stream, that are sent, received,
acknowledged and lost together. A batch costs one run, however many packets it has; only what loss cuts
apart is handled apart.

``runs``        the records of what was sent
``recovery``    which of it arrived (RFC 9002), with ``rtt`` per path
``acks``        what we received, and when to say so
``congestion``  how much may be in flight: the interface, and NewReno; ``cubic`` is what sessions use,
                ``hystart`` ends its slow start
``pacing``      when it may be sent
``stream``      the two halves of a stream, over ``sendbuffer`` and ``reassembly``
``streams``     all streams of a session
``flow``        how much the receiver has room for

A session owns one ``Recovery`` (packet numbers never restart), one controller, estimator and pacer for
each path, and two windows for itself besides those of its streams. Nothing here knows packets, keys or
sockets, and nothing reads a clock.
"""

from clawchat.transport.acks import AckMachine
from clawchat.transport.congestion import CongestionController, NewReno
from clawchat.transport.cubic import Cubic
from clawchat.transport.flow import ReceiveWindow, SendWindow
from clawchat.transport.pacing import Pacer
from clawchat.transport.recovery import Outcome, Recovery
from clawchat.transport.rtt import RttEstimator
from clawchat.transport.runs import RunList, SentRun, StreamRun
from clawchat.transport.stream import ReceiveStream, SendStream
from clawchat.transport.streams import StreamTable

__all__ = [
    "AckMachine",
    "CongestionController",
    "Cubic",
    "NewReno",
    "Outcome",
    "Pacer",
    "ReceiveStream",
    "ReceiveWindow",
    "Recovery",
    "RttEstimator",
    "RunList",
    "SendStream",
    "SendWindow",
    "SentRun",
    "StreamRun",
    "StreamTable",
]
