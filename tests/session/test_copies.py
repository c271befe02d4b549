"""Several HELLOs of one client begin several sessions, all at packet number 0; what these send has no equal headers."""

from __future__ import annotations

from lab.sim.cell import SETTLE, Cell
from lab.sim.way import Datagram

BLOCK = 16


def test_sessions_of_one_handshake_share_no_header() -> None:
    cell = Cell("port-restricted", "port-restricted", delay=0.15)
    seen: list[bytes] = []
    send = cell.net.send

    def note(node: str, datagram: Datagram) -> None:
        if node.startswith("g"):
            seen.append(datagram.payload)
        send(node, datagram)

    cell.net.send = note  # type: ignore[method-assign] # what passes is looked at
    cell.start()
    assert cell.net.run(SETTLE + 6.0, stop=lambda: cell.direct_both)
    payloads = {payload for payload in seen if len(payload) >= BLOCK}
    assert len({payload[:BLOCK] for payload in payloads}) == len(payloads)
