"""The only code of the core that touches the outside (floor 5): sockets, event loop, files, interfaces."""
