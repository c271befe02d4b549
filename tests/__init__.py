"""The tests, one folder for each area; run them with ``scripts/test``."""
