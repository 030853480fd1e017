"""The models, and the files that hold them: images and padding -> `Outputs`."""
