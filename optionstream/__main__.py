"""``python -m optionstream``."""

import sys

from optionstream.deploy.cli.main import main

sys.exit(main())
