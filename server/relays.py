"""The relays a server is a member of: joined from its own port, and told the mailbox of every armed credential."""

from __future__ import annotations

import contextlib
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from clawchat.crypto.bootstrap import Bootstrap
from clawchat.crypto.credential import Credential, Slot
from clawchat.crypto.relay_text import write_relay
from clawchat.crypto.secfile import MAX_FILE_BYTES, check_fresh, open_file
from clawchat.net import files
from clawchat.net.driver import Node
from clawchat.net.paths import BOOTSTRAP_KEY_NAME
from clawchat.net.relays import Membership, Relays
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address, Path
from clawchat.values.errors import SecurityFileError, UsageError
from clawchat.values.events import PathChanged
from server.home import Home
from server.logs import Log

WRONG_KEY: Final = "CC-PASSPHRASE"
RELAY_ACTION: Final = "Name the relay.sec that `clawchat-server relay` wrote."
# A relay lets go of a member's oldest boxes; after so many new ones it is told again which are still in use.
REMIND_AFTER: Final = 64
BY_UDP: Final = "UDP"
BY_WEBSOCKET: Final = "WebSocket"


class View(NamedTuple):
    """What status tells of a relay."""

    name: str
    address: str
    joined: bool
    websocket: bool
    """Whether it was joined by WebSocket, since UDP brought no answer."""


class ServerRelays:
    """Arm slots as the endpoint does, and let relays take in what is for them, too.

    ``texts`` is what security files say of the relays; it is empty until ``load``.
    """

    def __init__(
        self, endpoint: Endpoint, node: Node, log: Log, *, on_change: Callable[[], None], websocket: bool = True
    ) -> None:
        self.texts: list[str] = []
        self._endpoint = endpoint
        self._node = node
        self._log = log
        self._on_change = on_change
        self._websocket = websocket
        self._credentials: list[Credential] = []
        self._boxes: dict[bytes, bytes] = {}  # by slot
        self._told = 0
        self._closing = False
        self._relays: Relays | None = None

    def load(self, paths: Sequence[str], home: Home, bootstrap: Bootstrap) -> None:
        """Open the files that the configuration names, relative to it. Raises SecurityFileError."""
        for path in paths:
            credential = open_relay_file(home.configuration.parent / path, bootstrap)
            if (expired := check_fresh(credential, time.time())) is not None:
                self._log.warning("relay-file-expired", file=path, cause=expired.cause)
            self._credentials.append(credential)
            self.texts.append(write_relay(credential))

    def start(self, port: int) -> None:
        """Join the relays through one of our ports, and stay there."""
        self._relays = Relays(
            self._node,
            self._endpoint,
            self._credentials,
            port=port,
            websocket=self._websocket,
            on_joined=self._joined,
            on_left=self._left,
            on_moved=self._moved,
            on_silent=lambda relay: self._log.warning("relay-silent", relay=relay.name),
        )

    async def close(self) -> None:
        """Leave the relays."""
        self._closing = True
        if self._relays is not None:
            await self._relays.leave()

    def observed(self, port: int) -> tuple[Address, ...]:
        """Where the relays see a port of ours: one that was left hears on for a while, and leads clients astray."""
        members = self._relays.members.values() if self._relays is not None else ()
        joined = [each.observed for each in members if each.observed is not None and each.port == port]
        return tuple(dict.fromkeys([*joined, *self._endpoint.scout.seen_of(port)]))

    def describe(self, path: Path) -> str:
        """Name where a path leads: an address, or the relay that carries it."""
        if not path.relayed:
            return str(path.remote)
        members = self._relays.members.values() if self._relays is not None else ()
        name = next((each.relay.name for each in members if each.link == path.port), None)
        if name is None:
            return "a relay that is gone"
        return f"relay {name}" + (f" ({BY_WEBSOCKET})" if self._endpoint.tunnelled(path) else "")

    def views(self) -> list[View]:
        """Describe the relays."""
        members = self._relays.members.values() if self._relays is not None else ()
        joined = {each.relay.slot_id: self._by_websocket(each) for each in members}
        return [
            View(each.name, str(each.candidates[0]), each.slot_id in joined, joined.get(each.slot_id, False))
            for each in self._credentials
        ]

    # --- slots -------------------------------------------------------------------------------------

    def arm(self, slot: Slot, *, deadline: float) -> None:
        """Let a slot be joined, directly and by the relays."""
        self._endpoint.arm(slot, deadline=deadline)
        if not self._credentials:
            return
        box = self._boxes[slot.credential.slot_id] = bytes(slot.keys.mailbox)
        self._told += 1
        remind = self._told >= REMIND_AFTER
        if remind:
            self._told = 0
        for member in self._relays.members.values() if self._relays is not None else ():
            self._register(member, self._live_boxes() if remind else [box])

    def disarm(self, slot_id: bytes) -> None:
        """Let it be joined no more."""
        self._endpoint.disarm(slot_id)

    def _live_boxes(self) -> list[bytes]:
        """List the boxes by which somebody may come, or by which a client that is here may go on after a relay died."""
        used = {session.identity.slot_id for session in self._endpoint.sessions.values()}
        live = used.union(self._endpoint.armed)
        self._boxes = {slot_id: box for slot_id, box in self._boxes.items() if slot_id in live}
        return list(self._boxes.values())

    def _register(self, member: Membership, boxes: Sequence[bytes]) -> None:
        session = self._endpoint.sessions.get(member.session)
        if session is None:
            return
        with contextlib.suppress(UsageError):  # it is closing; all boxes are told when we join again
            for box in boxes:
                session.register(box)
        self._node.wake()

    # --- membership --------------------------------------------------------------------------------

    def _joined(self, member: Membership) -> None:
        by = BY_WEBSOCKET if self._by_websocket(member) else BY_UDP
        seen = None if member.observed is None else str(member.observed)
        self._log.info("relay-joined", relay=member.relay.name, session=member.session, by=by, observed=seen)
        self._register(member, self._live_boxes())
        self._on_change()

    def _moved(self, member: Membership, event: PathChanged) -> None:
        by = BY_WEBSOCKET if event.path.tunnelled else BY_UDP
        self._log.info("relay-moved", relay=member.relay.name, session=member.session, by=by)

    def _by_websocket(self, member: Membership) -> bool:
        session = self._endpoint.sessions.get(member.session)
        return session is not None and session.path.tunnelled

    def _left(self, member: Membership) -> None:
        if self._closing:
            return
        self._log.warning("relay-lost", relay=member.relay.name, session=member.session)
        self._on_change()


def open_relay_file(path: pathlib.Path, bootstrap: Bootstrap) -> Credential:
    """Open a relay's file with the key beside it, or else with our own. Raises SecurityFileError."""
    data = files.read_private(path, MAX_FILE_BYTES)
    beside = (path.with_suffix(".key"), path.with_name(BOOTSTRAP_KEY_NAME))
    for key in (*(files.load_bootstrap(each) for each in beside if each.exists()), bootstrap):
        try:
            credential = open_file(data, key)
        except SecurityFileError as error:
            if error.code != WRONG_KEY:
                raise
            continue
        if credential.relays or not credential.candidates:
            raise SecurityFileError("CC-FILE-FORMAT", f"{path} isn't the file of a relay", RELAY_ACTION)
        return credential
    cause = f"the key of {path} isn't at {beside[0]} or {beside[1]}"
    raise SecurityFileError(WRONG_KEY, cause, f"Copy the relay's bootstrap.key to {beside[0]}.")
