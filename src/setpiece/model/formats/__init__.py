"""Files of weights: ours, and those of published DETR checkpoints."""
