"""`python -m scale`."""

import sys

from scale.measure import main

sys.exit(main())
