"""Captures: what passes the devices of a laboratory, written down as pcapng.

``pcapng`` writes the files, ``tap`` listens to a device of any network namespace, ``recorder`` is the process that
does both for many devices at once, and ``recording`` starts it and tells it what goes into which file. A namespace is
named by its file, so that those of containers (``/proc/PID/ns/net``) are recorded like our own (``/run/netns/NAME``).
"""
