"""A planned network out of Linux namespaces, veth cables and real netfilter.

rules    which rule set makes a NAT, and its text for one gateway
cabling  devices, addresses and routes of a plan, as commands (pure)
impair   loss by filter rules, delay by netem or by a wire of ours
wire     the program that carries packets between two TUN devices, late and out of order
world    builds all of it, lends it, and leaves nothing behind
"""
