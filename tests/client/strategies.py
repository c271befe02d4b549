"""Any event that a program may tell."""

from __future__ import annotations

import typing

from hypothesis import strategies as st

from clawchat.net.user_events import UserEvent

KINDS: tuple[type[UserEvent], ...] = typing.get_args(UserEvent)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def any_of(kind: type[UserEvent]) -> st.SearchStrategy[UserEvent]:
    hints = typing.get_type_hints(kind)
    numbers: dict[str, st.SearchStrategy[float | None]] = {
        name: FINITE if hint is float else FINITE | st.none()
        for name, hint in hints.items()
        if hint in {float, float | None}
    }
    return st.builds(kind, **numbers)


events = st.one_of([any_of(kind) for kind in KINDS])
