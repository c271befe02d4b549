"""Scenes: a transfer under way between two programs behind NATs, and something that happens to the network meanwhile.

cargo      the bytes, and what arrived of them when
ends/      the two programs: the real server and client, with a transfer in place of the chat
stage      relays, a server and a client in the namespaces of a world, and what they tell
mishaps    what happens, and what is claimed of it
drop       two programs that meet by a folder alone, which takes its time
result     how it is told
"""
