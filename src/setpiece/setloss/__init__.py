"""The heart: predictions and targets -> the optimal match -> the set prediction loss.

Read in this order: `boxes` (geometry), `assignment` (the assignment problem), `classification` (the class term),
`matching` (cost of every pair, and the match), `criterion` (the Hungarian loss), `near` (the boxes beside a match).
"""

from setpiece.setloss.assignment import assign
from setpiece.setloss.auxiliary import active_losses, auxiliary_losses, one_to_many_box_loss
from setpiece.setloss.criterion import SetCriterion, training_criterion
from setpiece.setloss.matching import PairCosts, Weights, match, matching_weights, pair_costs

__all__ = [
    "PairCosts",
    "SetCriterion",
    "Weights",
    "active_losses",
    "assign",
    "auxiliary_losses",
    "match",
    "matching_weights",
    "one_to_many_box_loss",
    "pair_costs",
    "training_criterion",
]
