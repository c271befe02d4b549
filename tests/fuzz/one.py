"""Let atheris search with one target: ``python -m tests.fuzz.one TARGET [libFuzzer arguments and corpus folders]``."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["clawchat", "lab", "server"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
