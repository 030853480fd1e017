"""Random deformations of the plane."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from .arrays import Points, Random

__all__ = ["Warp", "random_warp"]


class Warp(NamedTuple):
    """Waves, then stretch, shear and rotation, then perspective."""

    height: Float[np.ndarray, "2"]  # of the waves along x and along y
    rate: Float[np.ndarray, "2"]  # of the waves, in radians per unit
    phase: Float[np.ndarray, "2"]  # radians
    matrix: Float[np.ndarray, "2 2"]
    tilt: Float[np.ndarray, "2"]

    def __call__(self, points: Points) -> Points:
        """Move the points of an outline that is about [-1, 1]² in size."""
        moved = points + self.height * np.sin(points[:, ::-1] * self.rate + self.phase)
        return (moved @ self.matrix) / (1 + moved @ self.tilt)[:, None]


def random_warp(random: Random, turn: float) -> Warp:
    """Turn by at most `turn` radians, make one side up to 1.6 times longer than the other, and bend a little."""
    even = random.uniform(-1, 1, 12)
    stretch, angle = np.exp(0.25 * even[0]), turn * even[1]
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.array([[stretch, 0.25 * even[2]], [0, 1 / stretch]]) @ np.array([[cosine, sine], [-sine, cosine]])
    return Warp(0.1 * even[3] * even[4:6], 2.75 + 1.25 * even[6:8], 3.15 * even[8:10], matrix, 0.18 * even[10:])
