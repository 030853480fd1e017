"""Images and their boxes, changed together at random."""
