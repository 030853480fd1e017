"""In which order open images are offered: those first whose labels teach the detector most."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int64

__all__ = ["by_helpfulness", "offered", "uncertainty"]

HELD_OUT_EVERY = 5  # one in so many that are offered is held out, as one in five images is
DOUBT = 0.1  # confidence from which on a prediction may be an object


def uncertainty(scores: Float[np.ndarray, " N"]) -> float:
    """How unsure a detector is of an image: the mean of 4 p (1 - p) over its predictions of p >= 0.1, in [0, 1].

    Where there is no such prediction it is 0.5: the image may be empty, or show what the detector does not know.

    Example:
        >>> uncertainty(np.array([0.5])), round(uncertainty(np.array([0.9, 0.95, 0.01])), 3)
        (1.0, 0.275)
    """
    doubtful = scores[scores >= DOUBT]
    return float((4 * doubtful * (1 - doubtful)).mean()) if len(doubtful) else 0.5


def by_helpfulness(
    unsure: Float[np.ndarray, " N"], features: Float[np.ndarray, "N D"], labelled: Float[np.ndarray, "M D"]
) -> Int64[np.ndarray, " N"]:
    """Indices of the open images, the most helpful first.

    Helpfulness is the uncertainty of an image times its distance, 1 - cosine, to the nearest one that is labelled or
    stands before it: so what is offered in a row is not the same photo again and again.

    Args:
        unsure: of each open image, see `uncertainty`.
        features: of each open image.
        labelled: features of the labelled images.

    Example:
        >>> features = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
        >>> by_helpfulness(np.array([0.9, 0.9, 0.5]), features, features[:1]).tolist()  # like a labelled one: last
        [2, 1, 0]
    """
    features, labelled = _normalised(features), _normalised(labelled)
    distance = np.full(len(features), 1.0)
    if len(labelled):
        distance = 1 - (features @ labelled.T).max(1)
    left = np.ones(len(features), np.bool_)
    order = []
    for _ in range(len(features)):
        helpful = np.where(left, unsure * np.maximum(distance, 1e-9), -1.0)
        best = int(helpful.argmax())
        order.append(best)
        left[best] = False
        distance = np.minimum(distance, 1 - features @ features[best])
    return np.array(order, np.int64)


def offered(open_ids: Iterable[int], held_out: Iterable[int], ranked: Sequence[int], done: int = 0) -> list[int]:
    """The open images in the order in which they are offered.

    Every fifth is held out. Those come in the order of the files: if they were chosen by what the detector finds hard,
    AP on them would say little.

    Args:
        open_ids: in the order of the files.
        held_out: which of them are held out.
        ranked: ids, the most helpful first; images that it lacks come after them.
        done: how many images are labelled already, so that the fifth of them all is held out and not that of the rest.

    Example:
        >>> offered([1, 2, 3, 4, 5, 6, 7], [2, 6], [7, 3])
        [7, 3, 1, 4, 2, 5, 6]
    """
    ids, apart = list(open_ids), set(held_out)
    rank = {id: place for place, id in enumerate(ranked)}
    to_train = deque(sorted((id for id in ids if id not in apart), key=lambda id: rank.get(id, len(rank))))
    to_measure = deque(id for id in ids if id in apart)
    found: list[int] = []
    while to_train or to_measure:
        turn = (done + len(found) + 1) % HELD_OUT_EVERY == 0
        found.append((to_measure if (turn and to_measure) or not to_train else to_train).popleft())
    return found


def _normalised(features: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
