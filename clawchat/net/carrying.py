"""Carry the messages of a handshake as files: by a drop folder, or by hand."""

from __future__ import annotations

import asyncio
import pathlib
import time
from collections.abc import Sequence
from typing import Final, Protocol

from clawchat.crypto.credential import Credential
from clawchat.net.connection import Connection, opened_session
from clawchat.net.driver import Node
from clawchat.net.drop import Backoff, DirectoryDrop, DropBackend, copies, names_of
from clawchat.session.carried import Offer
from clawchat.values.errors import PersonalError
from clawchat.values.limits import MAX_HELLO

CARRY_TIMEOUT: Final = 300.0
"""How long an answer is waited for in a drop folder: services take up to a minute for each way."""


class Post(Protocol):
    """What carries our HELLO away and brings WELCOMEs, genuine or not. Calls may block, and raise PersonalError."""

    @property
    def instructions(self) -> str:
        """Say what happens, and what a person has to do."""

    def send(self, hello: bytes) -> None:
        """Send the HELLO."""

    def receive(self) -> Sequence[bytes]:
        """Return what may be the WELCOME."""

    def finish(self) -> None:
        """Clean up: the WELCOME was read, or is waited for no more."""

    def renewed(self, credential: Credential) -> Post | None:
        """Return what carries the handshake of another credential, None when that takes a person."""


class DropPost:
    """A drop folder; what is left of the handshake there shows the server how far it has come."""

    def __init__(self, drop: DropBackend, mailbox: bytes) -> None:
        self._drop = drop
        self._names = names_of(mailbox)
        self._sent = False

    @property
    def instructions(self) -> str:
        """Say what happens, and what a person has to do."""
        return "shaking hands by the drop folder; this takes as long as the folder does, both ways"

    def send(self, hello: bytes) -> None:
        """Put the HELLO into the folder."""
        self._drop.put(self._names.hello, hello)
        self._sent = True

    def receive(self) -> Sequence[bytes]:
        """Return what may be the WELCOME, copies that the folder's service made included."""
        return [self._drop.get(name) for name in copies(self._drop.list(), self._names.welcome)]

    def finish(self) -> None:
        """Remove both files, and copies of them."""
        if self._sent:
            listing = self._drop.list()
            for name in [*copies(listing, self._names.hello), *copies(listing, self._names.welcome)]:
                self._drop.delete(name)

    def renewed(self, credential: Credential) -> Post | None:
        """Use the same folder."""
        return DropPost(self._drop, bytes(credential.keys().mailbox))


class HandPost:
    """Two files that a person carries."""

    def __init__(self, hello: pathlib.Path, welcome: pathlib.Path) -> None:
        self._hello = hello
        self._welcome = welcome

    @property
    def instructions(self) -> str:
        """Say what happens, and what a person has to do."""
        return (
            f"take {self._hello} to the server; there, run "
            f"`clawchat-server answer {self._hello.name} -o {self._welcome.name}`; "
            f"put the answer at {self._welcome}: this waits for it"
        )

    def send(self, hello: bytes) -> None:
        """Write the HELLO."""
        DirectoryDrop(self._hello.parent).put(self._hello.name, hello)

    def receive(self) -> Sequence[bytes]:
        """Return what may be the WELCOME."""
        return [DirectoryDrop(self._welcome.parent, limit=MAX_HELLO).get(self._welcome.name)]

    def finish(self) -> None:
        """Remove the HELLO, which is of no more use; the other file is not ours to remove."""
        DirectoryDrop(self._hello.parent).delete(self._hello.name)

    def renewed(self, credential: Credential) -> Post | None:  # noqa: ARG002 - whatever it is
        """Carry nothing by itself."""
        return None


class Taker(Protocol):
    """What takes WELCOMEs in: an endpoint."""

    def accept_welcome(self, data: bytes, *, port: int, now: float, timeout: float) -> int | None:
        """Take one; return its session's id, None if it answers no HELLO of ours."""


async def carried_session(  # noqa: PLR0913 - both ends of the post
    node: Node, endpoint: Taker, offer: Offer, post: Post, *, port: int, timeout: float
) -> Connection:
    """Let a post carry the offer and bring the answer; return the connection once a path is found.

    ``timeout`` seconds are given to finding a path. Raises PersonalError, and SessionClosed: HandshakeFailed if no
    answer came in the offer's time, PathsExhausted if no path was found.
    """
    opened = asyncio.ensure_future(opened_session(node, offer.session))
    carrying = asyncio.ensure_future(_carry(node, endpoint, offer, post, port=port, timeout=timeout))
    try:
        await asyncio.wait({opened, carrying}, return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            await carrying
        return await opened
    finally:
        for task in (opened, carrying):
            task.cancel()
        await asyncio.gather(opened, carrying, return_exceptions=True)
        await asyncio.shield(asyncio.to_thread(_finish, post))


async def _carry(  # noqa: PLR0913 - as above
    node: Node, endpoint: Taker, offer: Offer, post: Post, *, port: int, timeout: float
) -> None:
    node.flush()  # our NAT is open before anybody can read where we are
    await asyncio.to_thread(post.send, offer.hello)
    backoff = Backoff()
    while True:
        await asyncio.sleep(backoff.take())
        for found in await asyncio.to_thread(post.receive):
            now = time.monotonic()
            if found and endpoint.accept_welcome(found, port=port, now=now, timeout=timeout) is not None:
                node.flush()
                await asyncio.to_thread(_finish, post)
                return


def _finish(post: Post) -> None:
    try:
        post.finish()
    except PersonalError:
        return  # what is left there is of no use to anybody, and swept away one day
