"""By which ways a server is tried: its addresses, the relays that its security file names, or both."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from clawchat.crypto.credential import Credential
from clawchat.crypto.relay_text import read_relay
from clawchat.nat.reasons import Reason
from clawchat.net.connection import Connection
from clawchat.net.driver import Node
from clawchat.net.relays import Membership, Relays
from clawchat.session.endpoint import Endpoint
from clawchat.session.links import box_address
from clawchat.values.address import Address, Path
from clawchat.values.errors import PersonalError, UsageError
from clawchat.values.events import PathChanged
from clawchat.values.limits import MAX_OBSERVED_CANDIDATES
from client.settings import Way

LEARN_SECONDS: Final = 3.0
"""How long relays are kept that don't carry the session: a NAT shows how it chooses ports only to several of them."""

KEPT_RELAYS: Final = 2
"""How many relays are kept after that: one may die while it carries the session, or a direct path while none does."""


class RelayedWays:
    """Join the relays of a credential, and try the server through each."""

    def __init__(
        self, node: Node, endpoint: Endpoint, credential: Credential, way: Way, *, websocket: bool = True
    ) -> None:
        self._node = node
        self._endpoint = endpoint
        self._way = way
        self._mailbox = credential.mailbox()
        self._own = endpoint.candidates
        self._attempt = 0
        self._connection: Connection | None = None
        self._generation = 0
        self._relays: Relays | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self.named, self.not_understood = _read(credential)
        self.joined = 0
        self.websocket = websocket and any(relay.websocket for relay in self.named)
        """Whether a relay may be reached by WebSocket, too."""
        if way is Way.RELAY and not self.named:
            raise PersonalError(
                "CC-USAGE",
                "there is no relay in this security file, and --path relay uses nothing else",
                "Leave out `--path`, or ask the operator to name a relay in `networking.relays`.",
            )

    def begin(self, attempt: int, *, port: int) -> None:
        """Try to bring a handshake that was begun over the relays, too."""
        self._attempt = attempt
        self._relays = Relays(
            self._node,
            self._endpoint,
            self.named,
            port=port,
            websocket=self.websocket,
            on_joined=self._on_joined,
            on_moved=self._on_moved,
        )

    def opened(self, connection: Connection) -> None:
        """Tell the server where we are, if a relay carries the session; of the other relays most are left soon."""
        self._connection = connection
        self._offer()
        if self._relays is None:
            return
        wait = LEARN_SECONDS if connection.path.relayed else 0.0
        self._leaving = asyncio.get_running_loop().call_later(wait, self._settle)

    def leave(self) -> None:
        """Leave all relays: there is nothing more to be carried."""
        if self._leaving is not None:
            self._leaving.cancel()
        if self._relays is not None:
            self._relays.keep(0)

    def _settle(self) -> None:
        connection = self._connection
        if self._relays is not None and connection is not None:
            self._relays.keep(KEPT_RELAYS, using=lambda: connection.path.port)

    async def close(self) -> None:
        """Leave all relays, and wait until that is done."""
        self.leave()
        if self._relays is not None:
            await self._relays.leave()

    def why_relayed(self) -> str:
        """Say why a session on a relay has no direct path, by the code of the reason."""
        if self._way is Way.RELAY:
            return Reason.RELAY_ONLY.value
        return (Reason.LOOKING if self._connection is None else self._connection.session.path_reason).value

    def _on_joined(self, member: Membership) -> None:
        self.joined += 1
        if self._way is not Way.RELAY and member.observed is not None:
            found = dict.fromkeys((*self._own, *self._endpoint.candidates, member.observed))
            self._endpoint.candidates = tuple(found)[:MAX_OBSERVED_CANDIDATES]
        self._try(self._attempt if self._connection is None else self._connection.id, member)
        self._offer()

    def _try(self, session: int, member: Membership) -> None:
        """Let a handshake go by a relay, too; a session that is open keeps it in reserve."""
        self._endpoint.try_path(session, Path(member.link, box_address(self._mailbox)), now=time.monotonic())

    def _on_moved(self, member: Membership, event: PathChanged) -> None:
        """Tell that the relay which carries the session is reached in another way now."""
        connection = self._connection
        if connection is not None and connection.path.port == member.link and connection.on_path is not None:
            connection.on_path(connection.path, event.why)

    def _offer(self) -> None:
        """Say over the relay where we may be reached; punching begins with it on both ends."""
        connection = self._connection
        addresses: tuple[Address, ...] = self._endpoint.candidates
        if connection is None or not connection.path.relayed or not addresses:
            return
        self._generation += 1
        connection.session.offer(self._generation, addresses)
        self._node.wake()


def _read(credential: Credential) -> tuple[list[Credential], int]:
    """Read the relays of a credential; count those of another version than ours."""
    read: list[Credential] = []
    for text in credential.relays:
        try:
            read.append(read_relay(text))
        except UsageError:
            continue
    return read, len(credential.relays) - len(read)
