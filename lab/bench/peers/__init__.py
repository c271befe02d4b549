"""What is compared: every peer is a small class that is prepared once and then measured round by round.

`base` holds the surface and what peers share; each other module holds one family. Adding a rival means one class
and one line in `registry`.
"""
