"""How many bytes of a lake each engine reads for typical questions: `scripts/bench_reading --help`.

The lake is served from a store on this machine that counts (`store`). Each engine asks each question (`questions`) in a
process of its own (`engines`), so that nothing is in a cache. `layout` knows what each byte of a data file is for.
"""
