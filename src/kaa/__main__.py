"""`python -m kaa`: the same as the command `kaa`."""

import sys

from kaa.cli.main import main

sys.exit(main())
