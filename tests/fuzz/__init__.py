"""Fuzzing: one function a target, which takes bytes, and fails when the invariant in its first line does not hold.

``tests/fuzz/targets`` holds them by area, ``tests/fuzz/corpus`` what they have met, a folder for each target, one
file an input. ``scripts/fuzz`` lets atheris search for more; the test suite feeds them the corpus, and mutations.
"""
