"""What an operator may ask the running server over its control socket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from clawchat.net import files
from clawchat.net.control import Channel
from clawchat.services.chat_codec import read_to_server, to_json
from clawchat.services.chat_fields import clean_name
from clawchat.services.preface import StreamCode
from clawchat.session.session import Session
from clawchat.values.errors import PersonalError, ProtocolViolation, UsageError
from clawchat.values.limits import MEETING_LIFE
from server.health import check
from server.invitations import DEFAULT_NAME
from server.keeper import Keeper
from server.moving import port_rotation
from server.program import Program

Answer: TypeAlias = Mapping[str, object]
Handler: TypeAlias = Callable[[Mapping[str, Any], Channel], Awaitable[Answer | None]]

OPERATOR: Final = "operator"
MILLISECONDS: Final = 1000


class Requests:
    """Answer the requests; ``handlers`` is what the control socket is given."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self.handlers: dict[str, Handler] = {
            "status": self._status,
            "sessions": self._sessions,
            "invite": self._invite,
            "withdraw": self._withdraw,
            "health": self._health,
            "metrics": self._metrics,
            "attach": self._attach,
            "bootstrap": self._bootstrap,
            "disconnect": self._disconnect,
            "answer": self._answer,
            "rekey": self._rekey,
            "hop": self._hop,
            "compromised": self._compromised,
        }

    @property
    def _program(self) -> Program:
        return self._keeper.program

    async def _status(self, _request: Mapping[str, Any], _channel: Channel) -> Answer:
        program = self._program
        handler = program.handler
        return {
            "server": program.settings.server.id,
            "pid": os.getpid(),
            "uptime_seconds": round(time.time() - program.started_at),
            "port": str(program.port),
            "port_moves": program.endpoint.port_moves,
            "candidates": [str(address) for address in program.endpoint.candidates],
            **program.reach.describe(),
            "relays": [view._asdict() for view in program.relays.views()],
            "sessions": len(program.guests),
            "files": [
                {"name": view.name, "file": str(program.invitations.path(view.name)), "seconds": round(view.seconds)}
                for view in program.invitations.views()
            ],
            "returning": len(program.returning),
            "rooms": {name: list(names) for name, names in program.chat.rooms().items()},
            "handler": None if handler is None else {"running": handler.running, "starts": handler.starts},
            "drops": dict(sorted(program.endpoint.drops.items())),
            "loop_lag_ms": round(program.node.lag * MILLISECONDS, 3),
            "keylog": program.keylog,
        }

    async def _sessions(self, _request: Mapping[str, Any], _channel: Channel) -> Answer:
        return {"sessions": [self._session(number) for number in self._program.guests]}

    def _session(self, number: int) -> Answer:
        program = self._program
        guest, session = program.guests[number], program.endpoint.sessions[number]
        figures = session.stats(now=time.monotonic())
        return {
            "session": number,
            "name": guest.name,
            "chat": program.chat.names(number),
            "words": session.words,
            "remote": program.relays.describe(figures.path),
            "not_direct": session.path_reason.value if figures.path.relayed else None,
            "seconds": round(figures.age),
            "rtt_ms": round(figures.rtt * MILLISECONDS, 3),
            "loss": round(figures.loss, 6),
            "bytes_sent": figures.bytes_sent,
            "bytes_received": figures.bytes_received,
            "datagram_size": figures.datagram_size,
            "heard_seconds": round(figures.heard, 1),
            "epoch": figures.epoch,
            "key_age_seconds": round(figures.key_age),
        }

    async def _invite(self, request: Mapping[str, Any], _channel: Channel) -> Answer:
        name = str(request.get("name") or DEFAULT_NAME)
        path = await self._program.invitations.open(name)
        seconds = next(view.seconds for view in self._program.invitations.views() if view.name == name)
        return {"name": name, "file": str(path), "seconds": round(seconds)}

    async def _withdraw(self, request: Mapping[str, Any], _channel: Channel) -> Answer:
        self._program.invitations.withdraw(str(request.get("name")))
        return {}

    async def _health(self, _request: Mapping[str, Any], _channel: Channel) -> Answer:
        return (await check(self._program)).answer()

    async def _metrics(self, _request: Mapping[str, Any], _channel: Channel) -> Answer:
        await self._program.refresh_meters()
        return {"text": self._program.meters.board.text().decode()}

    async def _bootstrap(self, _request: Mapping[str, Any], _channel: Channel) -> Answer:
        """Take over the key file that the caller has just written."""
        await self._program.replace_bootstrap(files.load_bootstrap(self._program.home.bootstrap_key))
        return {}

    async def _disconnect(self, request: Mapping[str, Any], _channel: Channel) -> Answer:
        session = self._find(request.get("session"))
        session.close(StreamCode.REFUSED, "closed by the operator", now=time.monotonic(), at_once=True)
        self._program.node.wake()
        return {}

    def _find(self, number: object) -> Session:
        """Return a guest's session. Raises PersonalError (CC-USAGE)."""
        session = self._program.endpoint.sessions.get(number) if isinstance(number, int) else None
        if session is None or number not in self._program.guests:
            raise PersonalError("CC-USAGE", f"there is no session {number}", "`clawchat-server sessions` lists them.")
        return session

    async def _rekey(self, request: Mapping[str, Any], _channel: Channel) -> Answer:
        """Change the keys of one session, or of all."""
        number = request.get("session")
        for each in list(self._program.guests) if number is None else [number]:
            with contextlib.suppress(UsageError):  # it is closing
                self._find(each).rekey()
        self._program.node.wake()
        return {}

    async def _hop(self, _request: Mapping[str, Any], _channel: Channel) -> Answer:
        """Move to another port. Raises PersonalError where the port is fixed."""
        program = self._program
        if not port_rotation(program.settings):
            cause = "this server's port is fixed by `server.port`, `networking.public_address` or a rotation of 0"
            raise PersonalError("CC-USAGE", cause, "Change the configuration, and restart the server.")
        program.endpoint.hop()
        program.node.wake()
        return {}

    async def _compromised(self, request: Mapping[str, Any], _channel: Channel) -> Answer:
        """Destroy one session, or everything; then say what is to be carried over by hand."""
        number = request.get("session")
        if number is not None:
            self._find(number)
            self._program.compromise_session(int(number))
            return {}
        beginning = self._keeper.compromise()
        if self._keeper.needs_a_person:
            return {"bootstrap_key": None, "file": None, "seconds": 0}
        await asyncio.shield(beginning)
        if self._keeper.over.done():
            self._keeper.over.result()
        program = self._program
        views = [view for view in program.invitations.views() if view.name == DEFAULT_NAME]
        return {
            "bootstrap_key": str(program.home.bootstrap_key),
            "file": str(program.invitations.path(DEFAULT_NAME)),
            "seconds": round(views[0].seconds) if views else 0,
        }

    async def _answer(self, request: Mapping[str, Any], _channel: Channel) -> Answer:
        """Answer a HELLO that a person brought; our NAT is open for its sender before anybody reads the answer."""
        try:
            hello = base64.b64decode(str(request.get("hello")), validate=True)
        except ValueError:
            hello = b""
        program = self._program
        accepted = program.endpoint.accept_hello(hello, port=program.handle, now=time.monotonic())
        if accepted is None:
            cause = "this is no HELLO that can be answered: it is damaged or was answered, or its security file is over"
            raise PersonalError("CC-REFUSED", cause, "Have a new one made: `clawchat offer FILE.sec`.")
        program.node.flush()
        program.log.info("answered-by-file", session=accepted.session, way="by hand")
        return {"welcome": base64.b64encode(accepted.welcome).decode(), "seconds": round(MEETING_LIFE)}

    async def _attach(self, request: Mapping[str, Any], channel: Channel) -> None:
        """Let the caller take part in the chat: one JSON object a line, as the chat's messages are."""
        chat = self._program.chat
        ready = asyncio.Event()
        member = chat.attach(clean_name(str(request.get("name") or OPERATOR)), ready.set)
        try:
            await channel.send({"ok": True, "name": chat.name_of(member), "server": self._program.settings.server.id})
            tell = asyncio.create_task(self._tell(member, ready, channel))
            try:
                async for value in channel.objects():
                    chat.say(member, read_to_server(value))
            except ProtocolViolation as violation:
                await channel.send({"type": "refused", "about": "line", "reason": violation.reason})
            finally:
                tell.cancel()
        finally:
            chat.detach(member)

    async def _tell(self, member: int, ready: asyncio.Event, channel: Channel) -> None:
        while True:
            await ready.wait()
            ready.clear()
            while told := self._program.chat.take(member):
                for message in told:
                    await channel.send(to_json(message))
