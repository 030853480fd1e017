"""A checkpoint -> ONNX, OpenVINO, a PyTorch archive; verified by what it detects."""
