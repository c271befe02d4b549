"""Ask the router to let a UDP port through: PCP (RFC 6887), NAT-PMP (RFC 6886) and UPnP-IGD, all of them pure.

``lease``    what a router granted, and when to ask again
``choice``   which of the three to use, as soon as it can be told
``epoch``    whether the router has restarted and forgotten everything
``mapper``   the machine for both protocols of datagrams; ``pcp`` and ``natpmp`` are their words
``ssdp``     find a UPnP router; ``http``, ``document`` and ``soap`` are how it is talked to
``igd``      what it offers, and the conversation that ends in a mapping

Nobody authenticates a router. What it says is taken as advice about where we might be reached: the worst that a
false one can do is to waste a candidate.
"""
