"""Numbers and pictures as the page reads them.

An array is `{"shape": [...], "dtype": "f4" | "i4" | "u1", "data": base64 of its values, little endian, row by row}`; a
number on its own has the digits of a float32, and is null where it is NaN or infinite, which JSON cannot say.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
from torch import Tensor

__all__ = ["array", "jpeg_url", "rounded"]

DIGITS = 9  # what a float32 needs to be read back as it was


def array(values: Tensor | np.ndarray) -> dict[str, Any]:
    """Pack numbers: uint8 as they are, floats as float32, all others as int32.

    Example:
        >>> array(np.array([[1, 2]]))
        {'shape': [1, 2], 'dtype': 'i4', 'data': 'AQAAAAIAAAA='}
    """
    values = values.numpy() if isinstance(values, Tensor) else values
    dtype = "u1" if values.dtype == np.uint8 else "f4" if np.issubdtype(values.dtype, np.floating) else "i4"
    data = values.astype(f"<{dtype}").tobytes()
    return {"shape": list(values.shape), "dtype": dtype, "data": base64.b64encode(data).decode()}


def jpeg_url(jpeg: bytes) -> str:
    """A picture as a data URL.

    Args:
        jpeg: the content of a JPEG file.
    """
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def rounded(value: Any) -> Any:
    """A number, list or dictionary with every float in it rounded to the digits of a float32; None if it is not finite.

    Example:
        >>> rounded({"a": [1 / 3], "b": float("nan")})
        {'a': [0.333333333], 'b': None}
    """
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list) else value
