"""Tell an endpoint how far the packets that open our own NATs have to go."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from clawchat.net.stun import measure_depth, resolve
from clawchat.session.scouting import Scout
from clawchat.values.errors import PersonalError

ANY_IPV4: Final = "0.0.0.0"  # noqa: S104 - NATs are a matter of IPv4, on whichever interface leads to them


async def learn_depth(scout: Scout, servers: Sequence[str]) -> None:
    """Measure on the way to the first of these STUN servers that has an address; takes a second."""
    found = await resolve(servers, ipv6=False)
    with contextlib.suppress(PersonalError):
        for server in list(found.values())[:1]:
            scout.set_depth((await measure_depth(server, ANY_IPV4)).hops)
