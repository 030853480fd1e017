"""The files of a run: their layout, its saved state, and what is recorded for the report."""
