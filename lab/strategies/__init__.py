"""How others punch, in the same laboratory: what our own way has to be measured against.

    strategy     their names, and what each one is
    messages     the datagrams of a rival's end
    rendezvous   the public host by which two ends of a rival find one another; pure
    rival        one end of a rival; pure
    moves        when a rival probes, and from how many ports
    expected     which verdict each of them has to get for a pair of NATs
    sockets      both machines on real sockets

A rival is no whole program: it has no encryption and no relay that carries data. It is the same move as others make,
under the best of conditions: both ends learn their outside addresses from two public hosts and begin when the
rendezvous tells them to, at the same moment.
"""
