"""The backends as grounds for probes."""
