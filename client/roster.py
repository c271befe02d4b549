"""Who is in which room, as far as we were told."""

from __future__ import annotations

from clawchat.net.user_events import Joined, Left, Members, Renamed, UserEvent


class Roster:
    """The members of the rooms we heard of."""

    def __init__(self) -> None:
        self._rooms: dict[str, set[str]] = {}

    def follow(self, event: UserEvent) -> None:
        """Take an event."""
        match event:
            case Joined():
                known = self._rooms.setdefault(event.room, set()) if event.members is None else set(event.members)
                self._rooms[event.room] = known | {event.name}
            case Left():
                self._rooms.get(event.room, set()).discard(event.name)
            case Members():
                self._rooms[event.room] = set(event.names)
            case Renamed():
                for members in self._rooms.values():
                    if event.old in members:
                        members.remove(event.old)
                        members.add(event.new)
            case _:
                pass

    def members(self, room: str) -> list[str]:
        """List who is in a room."""
        return sorted(self._rooms.get(room, ()))
