"""Plain values (floor 0): addresses, errors, events, limits, ranges and timers.  Imports nothing of ours."""
