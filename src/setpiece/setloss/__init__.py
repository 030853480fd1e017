"""Predictions and targets -> the optimal match -> the set prediction loss.

Read in this order: `boxes` (geometry), `assignment` (the assignment problem), `classification` (the class term),
`matching` (the cost of every pair, and the match), `criterion` (the Hungarian loss), `auxiliary` (the one-to-many box
loss). This package needs PyTorch, NumPy, SciPy and jaxtyping alone.
"""

from setpiece.setloss.assignment import assign
from setpiece.setloss.auxiliary import AuxiliaryLoss, active_losses, auxiliary_losses, one_to_many_box_loss
from setpiece.setloss.classification import ClassForm, class_form
from setpiece.setloss.criterion import SetCriterion, training_criterion
from setpiece.setloss.matching import PAPER_WEIGHTS, PairCosts, Weights, match, matching_weights, pair_costs

__all__ = [
    "PAPER_WEIGHTS",
    "AuxiliaryLoss",
    "ClassForm",
    "PairCosts",
    "SetCriterion",
    "Weights",
    "active_losses",
    "assign",
    "auxiliary_losses",
    "class_form",
    "match",
    "matching_weights",
    "one_to_many_box_loss",
    "pair_costs",
    "training_criterion",
]
