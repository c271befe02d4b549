"""The small programs that run inside the namespaces: one module a protocol, `server` and `client` in each.

A server prints one JSON line when it listens. A client obeys commands on its standard input and answers each with
one JSON line (see `command`). Both speak one application protocol over whatever carries it (see `workload`).
"""
