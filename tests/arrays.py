"""Reads the arrays of a payload."""

import base64

import numpy as np


def unpack(packed):
    """What `setpiece.explain.arrays.array` packed."""
    return np.frombuffer(base64.b64decode(packed["data"]), f"<{packed['dtype']}").reshape(packed["shape"])
