"""Composition: machines of the floors below put together to sessions, and sessions to an endpoint."""
