"""A structure-aware fuzzer of `.inrv` files: `python -m tests.fuzz`."""

import sys
from pathlib import Path

# The second decoder of the format is a module of these tests.
sys.path.append(str(Path(__file__).parents[1] / "bitstream"))
