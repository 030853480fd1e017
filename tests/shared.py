"""Where the real data lie that some tests read: in a folder `shared` beside the checkout. CI has it."""

from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "data"
