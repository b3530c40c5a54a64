#!/usr/bin/env python3
"""Every command of the portal. Makes `.venv` beside it on first use; needs Python 3.11 and pip."""

import sys

# Said before anything is imported that an older Python cannot read.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("The portal needs Python 3.11 or newer; run it with that.")

from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from portal import bootstrap

if __name__ == "__main__":
    sys.exit(bootstrap.main(sys.argv))
