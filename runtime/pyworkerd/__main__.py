"""`python -m pyworkerd` is `pyworkerd`."""

import sys

from pyworkerd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
