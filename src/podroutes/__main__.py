"""``python -m podroutes``."""

import sys

from podroutes.cli import main

sys.exit(main())
