"""Runs that are killed at a moment that their display is told of."""

from setpiece.training.display import Display


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


class Killing(Display):
    """Raises `Killed` when the same moment has come more than `times` times.

    The moments are "step" (the weights are updated, nothing of it is saved), "evaluation" (all steps of an epoch are
    done, its line is not written) and "metrics" (the line and the checkpoints are written, the state is not).
    """

    def __init__(self, moment, times):
        super().__init__()
        self.moment, self.left = moment, times

    def step(self, *_):
        self._come("step")

    def evaluating(self, *_):
        self._come("evaluation")

    def evaluated(self, *_, **__):
        self._come("metrics")

    def _come(self, moment):
        if moment == self.moment:
            self.left -= 1
            if self.left < 0:
                raise Killed
