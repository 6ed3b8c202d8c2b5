"""Hostile input of every kind, and what flowlake makes of it: `python -m hostile.campaign --help`."""
