"""The loss of both forms, compiled as one graph and not, side by side: `python -m tests.setloss.compiled`.

Outside pytest, because Dynamo cannot look through the shape checks that the tests switch on. With the backend
"aot_eager", which traces and differentiates as "inductor" does and leaves out its C++: generating that takes minutes.
"""

import torch
from torch._dynamo.utils import counters

from setpiece.setloss import SetCriterion

from .problems import random_problem, records

if __name__ == "__main__":
    for form in ("softmax", "sigmoid"):
        criterion = SetCriterion(form=form)
        compiled = torch.compile(criterion.__call__, fullgraph=True, backend="aot_eager")
        logits, boxes, targets = random_problem(2, 8, [3, 0, 2], 5, seed=1)
        outputs, targets = records(logits, boxes, targets)
        expected, got = criterion(outputs, targets), compiled(outputs, targets)
        assert got.match.equal(expected.match)
        torch.testing.assert_close((got.total, got.terms), (expected.total, expected.terms))
        wanted = torch.autograd.grad(expected.total, (logits, boxes))
        torch.testing.assert_close(torch.autograd.grad(got.total, (logits, boxes)), wanted)
        assert counters["stats"].pop("unique_graphs", 0) == 1
