"""Archives and lines damaged at random, and what becomes of every row: `scripts/torture --help`."""
