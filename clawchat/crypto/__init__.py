"""Keys and everything done with them (floor 1).

A ``credential`` gives a client and a server the keys of the first two datagrams. The ``noise`` handshake inside
them yields the data keys of both directions, each of which lives for one ``epoch``. A ``header`` block in front of
every packet names session and packet, and the ``replay`` window takes each packet number once. Safety ``words`` let
two people compare what their ends agreed on.

At rest, a credential or the server's slots are a ``secfile``: strict JSON (``fields``) in an ``envelope`` sealed
under the ``bootstrap`` key, a key file or a passphrase. The ``keylog`` writes keys down for whoever wants to open a
recording of their own traffic.

Keys are bytearrays that ``derive`` fills and ``wipe`` overwrites, or live inside OpenSSL's objects, which overwrite
them when released. Handshakes hold some values for a moment in bytes, which can't be overwritten but are soon
reused. Nothing in here reads a clock or makes randomness.
"""
