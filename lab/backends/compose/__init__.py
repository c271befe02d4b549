"""A planned network out of containers, as people run them: Docker Compose makes it, Docker's own library drives it.

document   a plan as a compose file, complete in itself (pure)
agent      the first process of every peer and host: lends sockets, runs programs; knows nothing of the rest
machine    a container as a machine, by its agent
engine     the daemon, the compose command, and what dead runs have left behind
passage    proof that everything passes the gateways: at the start by packets, at the end by the router's counters
world      builds all of it, lends it, and leaves nothing behind

Every cable of the plan is a Docker network. Docker gives addresses of its own there, by which a container finds its
devices; then `docker/gateway/join` names them and gives them the addresses of the plan. The daemon's host has no
address in any of these networks, so it can neither be reached from there nor forward anything.
"""
