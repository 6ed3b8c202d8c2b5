"""`python -m crashes`, which is what `scripts/crash` runs."""

import sys

from crashes.campaign import main

if __name__ == "__main__":
    sys.exit(main())
