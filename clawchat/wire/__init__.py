"""Bytes on the wire (floor 1): HELLO and WELCOME, DATA packets in batches, and the frames inside them."""
