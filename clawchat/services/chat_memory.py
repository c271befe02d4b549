"""What a chat client must not forget when its program is killed: what it said and nobody has, what it has shown.

Each change is a record, a JSON object, that is handed to ``record`` at once; the records of an earlier life,
handed to a new memory in their order, bring it back.

    {"said": say}        a text of ours that is on its way
    {"settled": id}      the server has it, or refused it
    {"seen": number}     a message of somebody else was shown
    {"ids": count}       how many ids were given out
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from clawchat.services.chat import Say
from clawchat.services.chat_codec import read_to_server, to_json

Record: TypeAlias = dict[str, object]

MAX_REMEMBERED_NUMBERS: Final = 4096
"""Repeats come only from before a reconnection, and the server keeps fewer messages than this for one client."""


class ClientMemory:
    """Give out ids, and hold what is not settled. Raises ValueError or ProtocolViolation for other records."""

    def __init__(self, records: Iterable[Record] = (), record: Callable[[Record], None] | None = None) -> None:
        self.ids = 0
        self.unaccepted: OrderedDict[str, Say] = OrderedDict()
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._record = record or _nowhere
        for each in records:
            self._read(each)

    @property
    def fresh(self) -> bool:
        """Tell whether nothing was ever said or shown."""
        return not self.ids and not self._seen

    def say(self, text: str, room: str | None, to: str | None) -> Say:
        """Make a text that is to be brought to the server, under the next id."""
        self.ids += 1
        say = Say(str(self.ids), text, room, to)
        self.unaccepted[say.id] = say
        self._record({"said": to_json(say)})
        return say

    def settle(self, about: str) -> None:
        """Forget a text that the server has, or refused."""
        if self.unaccepted.pop(about, None) is not None:
            self._record({"settled": about})

    def first_time(self, number: int) -> bool:
        """Tell whether a message is new, and remember that it was shown."""
        if number in self._seen:
            return False
        self._see(number)
        self._record({"seen": number})
        return True

    def records(self) -> Iterator[Record]:
        """Go through the fewest records that bring back what is here now."""
        yield {"ids": self.ids}
        for say in self.unaccepted.values():
            yield {"said": to_json(say)}
        for number in self._seen:
            yield {"seen": number}

    def _see(self, number: int) -> None:
        self._seen[number] = None
        if len(self._seen) > MAX_REMEMBERED_NUMBERS:
            self._seen.popitem(last=False)

    def _read(self, record: Record) -> None:
        match record:
            case {"said": dict() as said} if isinstance(say := read_to_server(said), Say):
                self.unaccepted[say.id] = say
                self.ids = max(self.ids, int(say.id))
            case {"settled": str() as about}:
                self.unaccepted.pop(about, None)
            case {"seen": int() as number}:
                self._see(number)
            case {"ids": int() as count}:
                self.ids = max(self.ids, count)
            case _:
                raise ValueError("not a record of a chat client")


def _nowhere(_: Record) -> None:
    """Keep a record nowhere: nothing is to outlive the program."""
