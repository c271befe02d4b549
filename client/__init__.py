"""The program a person runs, ``clawchat`` (floor 6).  It never imports the server."""
