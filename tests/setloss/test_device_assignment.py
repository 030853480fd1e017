import os
import subprocess
import sys
from pathlib import Path

import pytest

from setpiece.setloss.device_assignment import block_of, solver_kernel, warps_of

ROOT = Path(__file__).parents[2]


def test_interpreted_the_kernel_solves_two_thousand_ragged_problems_as_well_as_scipy():
    command = [sys.executable, "-m", "tests.setloss.interpreted"]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("capability", [75, 90])
@pytest.mark.parametrize("number", ["fp32", "bf16", "fp64"])
@pytest.mark.parametrize("queries", [100, 300, 900])
def test_the_kernel_compiles_for_gpus_that_are_not_here(number, queries, capability, tmp_path, monkeypatch):
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setattr(triton.knobs.cache, "dir", str(tmp_path))
    pointers = {"costs": f"*{number}", "counts": "*i64", "matches": "*i64", "fault": "*i32"}
    signature = pointers | {"images": "i32", "T": "i32", "Q": "i32", "BLOCK": "constexpr"}
    block = block_of(queries)
    source = ASTSource(fn=solver_kernel, signature=signature, constexprs={"BLOCK": block})
    target = GPUTarget("cuda", capability, 32)
    compiled = triton.compile(source, target=target, options={"num_warps": warps_of(block)})
    assert compiled.asm["cubin"]
    if warps_of(block) == 1:
        assert compiled.metadata.shared == 0  # threads of one warp exchange their minima without memory


@pytest.mark.parametrize(("queries", "block"), [(1, 16), (100, 128), (128, 128), (300, 512), (900, 1024)])
def test_the_kernel_is_compiled_for_the_next_power_of_two_of_the_queries(queries, block):
    assert block_of(queries) == block
