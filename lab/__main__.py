"""``python -m lab``: the command line of the laboratory."""

from lab.cli import run

if __name__ == "__main__":
    run()
