"""Muon: an optimiser with orthogonalised updates, which change a matrix by about the same amount in all directions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["ADAMS_SIZE", "Muon", "polar"]

# (a, b, c) of each iteration. The polynomials a σ + b σ³ + c σ⁵ map singular values in [0.01, 1] towards 1.
# Each is the best one for the interval that the polynomials before it lead to. All three together give [0.73, 1.27].
QUINTICS = ((8.0934, -23.6204, 17.4462), (3.6366, -2.7219, 0.5365), (2.6613, -1.9772, 0.4526))
ADAMS_SIZE = 0.2  # root mean square of a typical AdamW update


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal: with the gradient G of a matrix W of r rows and c columns,

        M ← μ M + (1 - μ) G,    N = μ M + (1 - μ) G,    W ← (1 - η λ) W - η · 0.2 √max(r, c) · polar(N),

    where polar(U S Vᵀ) = U Vᵀ. Every entry moves by 0.2 η in the root mean square, as in a typical step of AdamW, so
    its learning rates carry over. A convolution is the matrix (channels out, channels in · kernel).

    Matrices of one shape are made orthogonal together. Torch's own `Muon` takes matrices alone, one by one.

    Where a gradient is 0 the step keeps its size, in the direction of M; where there is none, the matrix stays.

    Args:
        params: matrices (r, c) and convolutions (channels out, channels in, height, width).
        lr: η, above 0.
        threads: make matrices of different shapes orthogonal at the same time; one after the other where None.
        momentum: μ, in [0, 1).
        weight_decay: λ, at least 0.

    References:
        Jordan et al. 2024, Muon: An optimizer for hidden layers in neural networks.
        Amsel et al. 2025, The Polar Express, arXiv 2505.16932 (the best polynomial for each iteration).
        Liu et al. 2025, Muon is Scalable for LLM Training, arXiv 2502.16982 (the factor 0.2 √max(r, c)).
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, object]],
        lr: float,
        *,
        threads: ThreadPoolExecutor | None = None,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._threads = threads

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not params:
                continue
            directions = self._directions(params, group["momentum"])
            torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
            by_shape = defaultdict(list)
            for parameter, direction in zip(params, directions, strict=True):
                by_shape[_wide(direction).shape].append((_rows(parameter), _wide(direction)))
            in_turn = map if self._threads is None else self._threads.map
            for _ in in_turn(_move, by_shape.values(), repeat(group["lr"])):
                pass
        return loss

    def _directions(self, params: list[Tensor], momentum: float) -> tuple[Tensor, ...]:
        """Update M of every parameter with its gradient, and return N."""
        gradients = [cast(Tensor, parameter.grad) for parameter in params]
        for parameter in params:
            if not self.state[parameter]:
                self.state[parameter]["average"] = torch.zeros_like(parameter)
        averages = [self.state[parameter]["average"] for parameter in params]
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        return torch._foreach_lerp(gradients, averages, momentum)


@torch.no_grad()
def _move(pairs: list[tuple[Tensor, Tensor]], rate: float | Tensor) -> None:
    """Move weights, given as rows, in their directions, which are matrices of one shape.

    The rate of a step that is captured in a CUDA graph is a tensor.
    """
    stacked = torch.stack([direction for _, direction in pairs]).float()  # `polar` needs it
    moves = polar(stacked).mul_(-rate * ADAMS_SIZE * stacked.shape[-1] ** 0.5)
    for (rows, _), move in zip(pairs, moves, strict=True):
        is_wide = len(rows) == len(move)
        rows.add_((move if is_wide else move.T).reshape(rows.shape))


def polar(matrices: Float[Tensor, "N r c"]) -> Float[Tensor, "N r c"]:
    """About U Vᵀ of each matrix X = U S Vᵀ, by Newton-Schulz iterations: X ← P X with P = a I + b X Xᵀ + c (X Xᵀ)².

    Each iteration maps the singular values by a σ + b σ³ + c σ⁵, starting from S over 1.01 times its Frobenius norm:
    so no rounding puts one above 1, where the polynomials rise steeply. Those of at least 0.0101 of the norm end in
    [0.73, 1.27]; smaller ones grow 78-fold at most.

    Every P is a polynomial of the first X Xᵀ, so all P commute. With T the product of the P so far, the next X Xᵀ is
    T (X Xᵀ) T, where X is the first one. So only the first and the last matrix product are as wide as X. The price:
    later iterations do not correct rounding errors of earlier ones, which can grow 78-fold.

    Args:
        matrices: float32 or float64, as bfloat16 or TF32 would be too coarse; r at most c, for the sake of speed.

    Returns:
        Matrices of the same shape and type.

    References:
        Björck and Bowie 1971, An iterative algorithm for computing the best estimate of an orthogonal matrix.

    Example:
        >>> turned = polar(torch.tensor([[[3.0, 0.0], [0.0, -0.5]]]))
        >>> [[round(entry, 1) for entry in row] for row in turned[0].tolist()]
        [[1.1, 0.0], [0.0, -1.2]]
    """
    x = matrices / (1.01 * torch.linalg.matrix_norm(matrices, keepdim=True) + 1e-7)
    gram = x @ x.mT
    product = _polynomial(gram, *QUINTICS[0])
    for coefficients in QUINTICS[1:]:
        product = _polynomial(product @ gram @ product, *coefficients) @ product
    return product @ x


def _polynomial(gram: Float[Tensor, "N r r"], a: float, b: float, c: float) -> Float[Tensor, "N r r"]:
    """P of one iteration: a I + b G + c G²."""
    result = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    result.diagonal(dim1=-2, dim2=-1).add_(a)
    return result


def _rows(weight: Tensor) -> Tensor:
    """A weight, channels out first and channels in last, which is how a convolution lies in memory (channels_last)."""
    return weight.movedim(1, -1)


def _wide(weight: Tensor) -> Float[Tensor, "r c"]:
    """A weight as a matrix with at least as many columns as rows."""
    matrix = _rows(weight).flatten(1)
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
