"""What is not to be forgotten of the chat with a server, kept sealed beside what brings us back to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from clawchat.crypto.sealed_log import Record
from clawchat.net.journal import Journal, read_journal
from clawchat.net.report import personal
from clawchat.net.user_events import Notice
from clawchat.services.chat_memory import ClientMemory
from clawchat.values.errors import PersonalError, ProtocolViolation
from client.plan import Plan
from client.returns import KnownServers

FORM: Final = "clawchat client journal"


class Kept(NamedTuple):
    """A memory, and what writes its changes down."""

    memory: ClientMemory
    keep: Callable[[], None]


@contextlib.contextmanager
def kept_memory(plan: Plan, emit: Callable[[Notice], None]) -> Iterator[Kept]:
    """Bring back what an earlier life of this program left, and keep what changes while the context lasts.

    What can't be read or written is told, and costs only what it is for.
    """
    if plan.forget:
        yield Kept(ClientMemory(), lambda: None)
        return
    known, name = KnownServers(plan.places.state), plan.opened.credential.name
    path = known.journal(name)
    notes: list[Record] = []
    try:
        memory = ClientMemory(read_journal(path, plan.opened.bootstrap, form=FORM), notes.append)
    except (PersonalError, ProtocolViolation, ValueError) as error:
        emit(Notice(f"what was not sent to {name} before can't be read: {personal(error).cause}"))
        memory = ClientMemory((), notes.append)
    if not plan.opened.back:
        # A new file may be that of another server of the same name, which is not to hear what was meant for that one.
        for say in memory.unaccepted.values():
            emit(Notice(f"never sent to {name}: {say.text}"))
        memory = ClientMemory((), notes.append)
    journal = Journal(path, form=FORM, snapshot=memory.records)

    def keep() -> None:
        if not path.exists():  # it was destroyed, and must not come back
            journal.close()
        for record in notes:
            journal.note(record)
        notes.clear()
        with _telling(emit):
            journal.flush()

    with contextlib.closing(journal):
        with _telling(emit):
            known.make()
            journal.begin(plan.opened.bootstrap)
        yield Kept(memory, keep)
        keep()


@contextlib.contextmanager
def _telling(emit: Callable[[Notice], None]) -> Iterator[None]:
    try:
        yield
    except PersonalError as error:
        emit(Notice(f"what is not sent will be forgotten if this program is killed: {error.cause}"))
