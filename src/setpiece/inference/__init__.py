"""Images -> detections: preprocessing, precision, and the one forward path that all rooms share."""
