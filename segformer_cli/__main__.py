"""`python -m segformer_cli`, the same as `segformer`."""

from __future__ import annotations

import sys

from segformer_cli.app import main

if __name__ == "__main__":
    sys.exit(main())
