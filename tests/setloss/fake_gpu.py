"""Tensors that say they are on a GPU and have no values: what would wait for a GPU shows without one."""

from contextlib import contextmanager

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def devices(values):
    return {leaf.device.type for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)}


class _Copies(TorchDispatchMode):
    """Notes the operations between the host and the GPU."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        read, written = devices((args, kwargs)), devices(result)
        # A number that an operation takes is a tensor of the host, too, and no copy: "cuda" is read beside it.
        if ("cpu" in read and "cuda" in written and "cuda" not in read) or ("cuda" in read and "cpu" in written):
            self.found.append(str(func))
        return result


@contextmanager
def fake_gpu():
    """New tensors may be on a GPU that is not there. Reading a value of one is an error, and so is a copy at the end.

    A shape that depends on values is an error likewise.
    """
    with FakeTensorMode(allow_non_fake_inputs=True), _Copies() as copies:
        yield
    assert copies.found == []
