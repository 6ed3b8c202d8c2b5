"""What `scripts/bench` runs: flowlake and other engines building the same product from the same dumps, and its cost.

`__main__` is the command line, `compare` and `alone` are what can be measured, `product` says what is built, `with_*`
are the peers, each a program of its own, and `check` compares what they built. Whatever measures (`__main__`,
`compare`, `alone`, `measure`) is plain Python without packages, for the reason that `measure` gives.
"""
