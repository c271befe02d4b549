"""All targets by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.fuzz.targets import endpoint, files, nat, services, wire

Target = Callable[[bytes], None]

TARGETS: Final[dict[str, Target]] = {
    f"{module.__name__.rpartition('.')[2]}-{name.replace('_', '-')}": target
    for module in (wire, endpoint, services, nat, files)
    for name, target in module.TARGETS.items()
}
"""``area-target``: the functions of each module's own table."""
