"""`python -m infodil` is `infodil`."""

import sys

from infodil.cli import main

sys.exit(main())
