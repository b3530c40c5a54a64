#!/usr/bin/env python3
"""Every command of the portal. Makes `.venv` beside it on first use; needs Python 3.11 and pip."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from portal import bootstrap

if __name__ == "__main__":
    sys.exit(bootstrap.main(sys.argv))
