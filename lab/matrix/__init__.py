"""The matrix: every pair of NATs, what becomes of a session between them, and whether that was to be expected."""
