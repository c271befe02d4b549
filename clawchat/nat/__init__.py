"""Machines that find and keep a path to the peer (floor 2)."""
