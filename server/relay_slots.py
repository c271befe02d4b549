"""What lets members into a relay: its slots, kept sealed across restarts, and ``relay.sec``, which is handed out.

security/                   0700
    bootstrap.key           0600: opens relay.sec; carried to operators together with it, on another way
    relay.sec               0600: what a server needs to join; the same for every server
    relay.sealed            0600: the relay's own half of it
"""

from __future__ import annotations

import pathlib
import secrets
import time
from collections.abc import Sequence
from typing import Final

from clawchat.crypto.bootstrap import KeyFile
from clawchat.crypto.credential import KEY_BYTES, Slot, make_slot
from clawchat.crypto.secfile import MAX_FILE_BYTES, MAX_SLOTS_FILE_BYTES, open_file, open_slots, seal_file, seal_slots
from clawchat.net import files
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError
from clawchat.values.limits import MAX_RELAY_CANDIDATES
from server import bootstrap
from server.home import Home

FILE_NAME: Final = "relay"
DAY: Final = 24 * 3600
# A credential is replaced when the relay starts and less than this share of its life is left.
RENEW_SHARE: Final = 0.25
# Credentials of other addresses and earlier times that still let members in; the oldest goes first.
MAX_KEPT: Final = 4


class RelaySlots:
    """The slots of one relay, the newest last. Raises PersonalError when its files can't be read."""

    def __init__(self, home: Home) -> None:
        self.file = home.security_file(FILE_NAME)
        self._sealed = home.security / "relay.sealed"
        self._key = _key_of(home)
        self.slots: list[Slot] = []
        if self._sealed.exists():
            found = open_slots(files.read_private(self._sealed, MAX_SLOTS_FILE_BYTES), self._key)
            self.slots = [slot for slot in found if slot.credential.valid_until > time.time()]

    @property
    def usual_port(self) -> int:
        """The port that credentials handed out so far name, 0 if there are none."""
        return self.slots[-1].credential.candidates[0].port if self.slots else 0

    def is_intact(self) -> bool:
        """Tell whether relay.sec is there, still good, and opens to the newest slot."""
        try:
            found = open_file(files.read_private(self.file, MAX_FILE_BYTES), self._key)
        except PersonalError:
            return False
        newest = self.slots[-1].credential
        return found.slot_id == newest.slot_id and newest.valid_until > time.time()

    def settle(self, name: str, candidates: Sequence[Address], *, days: float, websocket: str = "") -> bool:
        """See to it that the newest slot leads to us, and that its file is there; tell whether it is a new one."""
        is_new = not (self.slots and _serves(self.slots[-1], candidates, websocket))
        if is_new:
            self.slots = [*self.slots[1 - MAX_KEPT :], _make(name, candidates, days, self.slots, websocket)]
            files.write_private(self._sealed, seal_slots(self.slots, self._key, secrets.token_bytes))
        if is_new or not self.file.exists():
            files.write_private(self.file, seal_file(self.slots[-1].credential, self._key, secrets.token_bytes))
        return is_new


def _key_of(home: Home) -> KeyFile:
    """Load the key that opens our files; make one the first time."""
    files.private_directory(home.security)
    if not home.bootstrap_key.exists():
        return bootstrap.write_key(home)
    key = files.load_bootstrap(pathlib.Path(home.bootstrap_key))
    assert isinstance(key, KeyFile)  # noqa: S101 - it comes from a key file
    return key


def _serves(slot: Slot, candidates: Sequence[Address], websocket: str) -> bool:
    credential = slot.credential
    left = (credential.valid_until - time.time()) / max(1, credential.valid_until - credential.timestamp)
    same = credential.websocket == websocket and not set(candidates).isdisjoint(credential.candidates)
    return same and left > RENEW_SHARE


def _make(name: str, candidates: Sequence[Address], days: float, before: Sequence[Slot], websocket: str) -> Slot:
    # one header key for all slots: a datagram is looked at once
    key = before[-1].credential.hello_header_key if before else secrets.token_bytes(KEY_BYTES)
    return make_slot(
        secrets.token_bytes,
        name=name,
        hello_header_key=key,
        candidates=candidates[:MAX_RELAY_CANDIDATES],
        relays=(),
        timestamp=int(time.time()),
        validity=round(days * DAY),
        reusable=True,
        websocket=websocket,
    )
