"""One module for each command of the laboratory; `lab/cli.py` lists them."""
