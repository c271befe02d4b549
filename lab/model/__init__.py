"""What the laboratory builds, said once for all backends: NATs, presets, links, topologies and their addresses.

    nat         a NAT as orthogonal choices in the words of RFC 4787
    presets     named NATs, each with where such a box was seen
    link        what a cable does to packets, and the arithmetic of one crossing
    topology    peers, gateways and public hosts
    document    the YAML file that says a topology
    plan        which address and which cable everything of a topology gets

Everything here is pure: a backend reads a plan and builds it.
"""
