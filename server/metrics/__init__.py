"""What Prometheus is told of a server or a relay: which figures there are, how they are kept, how they get out.

``table``      every figure: its name, its kind, its labels, what it means
``board``      keeps the figures of one program
``sessions``   fills in what servers and relays have in common
``server``     fills in the rest of a server's
``relay``      the same for a relay
``export``     a text file, a unix socket, a port of this machine alone
"""
