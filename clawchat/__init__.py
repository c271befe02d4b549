"""Connect a person to a dark server: the core, importable as a library.

Floor 0 is ``values``; above it ``crypto`` and ``wire`` make bytes, ``transport`` and ``nat`` are the machines,
``session`` composes them, ``services`` run over its streams, and ``net`` alone touches the outside.
Imports only go down.  Floors 0 to 4 are pure: what they do follows from their arguments, ``now`` and ``random`` among
them.
"""
