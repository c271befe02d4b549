"""The timetable of invitations: when a security file is due, how long each of its credentials lives, what a use burns.

Pure: ``now`` is monotonic seconds, and who writes files and arms slots is ``server.invitations``. An
invitation has generations: a new credential takes the place of the old one in the file every
``renew_every`` seconds, and each lives ``validity`` seconds from its own making, whatever came after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from clawchat.crypto.secfile import MAX_SLOTS
from clawchat.values.errors import PersonalError

# Each may have two live credentials, and the clients that may come back need their places too.
MAX_INVITATIONS: Final = MAX_SLOTS // 4
# A full disk is seldom empty again a second later, and an operator should not wait ten minutes.
RETRY_SECONDS: Final = 30.0


class View(NamedTuple):
    """What status tells of an invitation; ``seconds`` is how long its file may still be used."""

    name: str
    seconds: float
    generations: int


class Burnt(NamedTuple):
    """An invitation that a client has used, and what is left of it to disarm."""

    name: str
    slot_ids: tuple[bytes, ...]


@dataclass(slots=True)
class _Invitation:
    name: str
    renew_at: float
    deadlines: dict[bytes, float] = field(default_factory=dict)  # of each live credential, the newest last


class Timetable:
    """Keep the times of all invitations."""

    def __init__(self, *, validity: float, renew_every: float) -> None:
        self._validity = validity
        self._renew_every = renew_every
        self._invitations: dict[str, _Invitation] = {}

    def invite(self, name: str, *, now: float) -> None:
        """Make the file of an invitation due now, whether it is new or has one. Raises PersonalError (CC-REFUSED)."""
        invitation = self._invitations.get(name)
        if invitation is not None:
            invitation.renew_at = now
            return
        if len(self._invitations) >= MAX_INVITATIONS:
            cause = f"{MAX_INVITATIONS} invitations are open already"
            raise PersonalError("CC-REFUSED", cause, "Wait until one is used, or withdraw one: `invite --withdraw`.")
        self._invitations[name] = _Invitation(name, now)

    def withdraw(self, name: str) -> Burnt | None:
        """End an invitation nobody has used; None when there is none of that name."""
        invitation = self._invitations.pop(name, None)
        return None if invitation is None else Burnt(name, tuple(invitation.deadlines))

    def due(self, *, now: float) -> list[str]:
        """List the invitations whose file is to be made or replaced."""
        return [invitation.name for invitation in self._invitations.values() if invitation.renew_at <= now]

    def made(self, name: str, slot_id: bytes, *, now: float) -> float:
        """Take note of a new credential; return its deadline."""
        invitation = self._invitations[name]
        invitation.renew_at = now + self._renew_every
        deadline = invitation.deadlines[slot_id] = now + self._validity
        return deadline

    def failed(self, name: str, *, now: float) -> None:
        """Try again later: the file could not be written."""
        invitation = self._invitations.get(name)
        if invitation is not None:
            invitation.renew_at = now + RETRY_SECONDS

    def expire(self, *, now: float) -> list[bytes]:
        """Forget credentials whose time is over and return their slots."""
        over = []
        for invitation in self._invitations.values():
            ended = [slot_id for slot_id, deadline in invitation.deadlines.items() if deadline <= now]
            for slot_id in ended:
                del invitation.deadlines[slot_id]
            over += ended
        return over

    def burn(self, slot_id: bytes) -> Burnt | None:
        """End the invitation that a client has used; None for a slot that is no invitation's."""
        for invitation in self._invitations.values():
            if slot_id in invitation.deadlines:
                return self.withdraw(invitation.name)
        return None

    def next_deadline(self) -> float | None:
        """Return when there is something to do."""
        times = [invitation.renew_at for invitation in self._invitations.values()]
        times += [deadline for invitation in self._invitations.values() for deadline in invitation.deadlines.values()]
        return min(times, default=None)

    def views(self, *, now: float) -> list[View]:
        """Describe the invitations; a file that is still to be written has no seconds left."""
        return [
            View(
                invitation.name,
                max(0.0, max(invitation.deadlines.values(), default=now) - now),
                len(invitation.deadlines),
            )
            for invitation in self._invitations.values()
        ]

    def __contains__(self, name: str) -> bool:
        return name in self._invitations
