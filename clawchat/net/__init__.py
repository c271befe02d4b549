"""The only code of the core that touches the outside (floor 5): sockets, event loop, files, interfaces.

Datagrams. ``sockets`` is one UDP port and speaks in batches, with the kernel's offloads or without; what a system
can do is asked for in ``socket_options`` and ``port_opening``, and what it refuses is judged by one table,
``socket_errors``. ``error_queue`` reads what ICMP said. Above them stands the ``driver``, which runs an endpoint
(``surface`` says what it asks of one) on the ``loop``: ``ports`` opens, mends and closes, and a ``gate`` holds back
what a socket does not take at once. ``network_watch`` tells of changes among the addresses that ``interfaces`` lists.

Programs use a ``connection`` and its ``stream``. The turn of the event loop is the unit of everything: a bounded
number of batches is read, the endpoint receives them, its events are told, and what follows from them leaves before
the turn is over.

Where we are. ``stun`` and ``reflexive`` ask servers that were named where they see us, with ports of their own and
with a node's; ``gateway`` finds our router, ``portmap`` keeps a port mapped there in one of the ``portmap_ways``;
``netcheck`` does all of it once.

Files and people. ``files`` keeps secrets to their owner, ``paths`` knows where things are, ``config`` reads settings
as ``config_schema`` describes them, ``control`` lets commands talk to a running program, ``user_events`` and
``events_json`` say what happened, ``report`` and ``command_line`` what went wrong and what to do next.
"""
