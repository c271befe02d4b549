"""Checks of what a program needs to work: each passes, fails with what to do about it, or can't be made here.

``checks``      one check, and how all of them are told
``machine``     what the kernel grants: buffers, offloads, the size of packets; a container's own network
``network``     the NAT, the router, IPv6, by what ``clawchat.net.netcheck`` sees
``neighbours``  whether a dark port stands out among the closed ones around it
``egress``      whether UDP gets out, and what relays see of us
"""
