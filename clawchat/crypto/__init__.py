"""Keys and everything done with them.

A *credential* gives a client and a server the keys of the first two datagrams. The *noise* handshake inside them
yields the data keys of both directions, which live for one *epoch*. A *header* block in front of each packet names
session and packet, and the *replay* window takes each packet number once. Safety *words* let two people compare
what their ends agreed on. A security file (*secfile*) is a credential at rest, sealed under a key file or a
passphrase. The *keylog* writes keys down for whoever wants to open a recording of their own traffic.

Keys are bytearrays that are overwritten after use, or live inside OpenSSL's objects, which do that themselves.
Nothing in here reads a clock or makes randomness.
"""
