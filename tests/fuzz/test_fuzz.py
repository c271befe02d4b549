"""Every target holds for its corpus and for what is like it; ``scripts/fuzz`` searches further."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import CORPUS, seeds
from tests.fuzz.targets import TARGETS

SMALL_CORPUS = 400_000  # bytes


def corpus(target: str) -> list[bytes]:
    return [file.read_bytes() for file in sorted((CORPUS / target).iterdir())]


@pytest.mark.parametrize("target", TARGETS)
def test_it_holds_for_its_corpus(target: str) -> None:
    inputs = corpus(target)
    assert inputs, "python -m tests.fuzz.seeds makes one"
    for data in inputs:
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=60)
@given(data=st.data())
def test_it_holds_for_what_is_like_its_corpus(target: str, data: st.DataObject) -> None:
    base = bytearray(data.draw(st.sampled_from(corpus(target))))
    for at, what in data.draw(st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=4)), max_size=4)):
        place = at % (len(base) + 1)
        base[place : place + len(what)] = what
    TARGETS[target](bytes(base[: data.draw(st.integers(0, len(base)))] if data.draw(st.booleans()) else base))


def test_every_target_has_seeds_and_an_invariant() -> None:
    assert seeds().keys() == TARGETS.keys()
    assert all((target.__doc__ or "").strip() for target in TARGETS.values())


def test_the_corpus_is_small() -> None:
    assert sum(file.stat().st_size for file in CORPUS.rglob("*")) < SMALL_CORPUS
