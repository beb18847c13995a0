"""The parts of the `daymark` command; `cli.py` puts them together."""
