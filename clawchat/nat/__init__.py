"""Machines that find and keep a path to the peer (floor 2).

Our own place. ``stun`` and ``stun_client`` ask servers where they see us, ``discovery`` asks them in the order of
RFC 5780, ``mapping`` judges the NAT by what they saw and foresees its next ports, ``depth`` tells how far the public
internet is, ``portmap`` asks the router for a port, ``routes`` reads which router that is, ``scope`` knows which
addresses mean the same everywhere. ``candidate`` is what all that comes to for a peer, ``verdict`` for a person.

The way to the peer. ``path`` and ``probing`` try paths, the modules of ``punch`` open NATs on both sides at once,
``suspicion`` notices that a path is dead, ``mtu`` finds how large its datagrams may be.
"""
