"""Data set, checkpoint and settings -> a run with its best checkpoint; on Accelerate."""
