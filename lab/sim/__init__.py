"""The laboratory without a kernel: NATs as small state machines, an internet of them, and a clock that only jumps.

    clock       calls in the order of their times
    nat         one NAT: where a packet from inside leaves, and whom a packet from outside reaches
    twins       several NATs that see the same packets, for as long as they would do the same with them
    way         what a datagram meets: cables, and a gateway's two sides
    internet    all nodes of a plan, and the packets between them, in virtual time
    party       a real endpoint at one of the nodes
    stream      WebSockets
    cell        two ends and their relays (pair, relay), as the matrix tries them; rivalry: a rival's in their place

A run is a function of the plan, the seed and what is sent: the same every time, on every machine.
"""
