"""Our Adam makes the same steps as PyTorch's, and loads no compiler."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from inrcodec.fit.training.adam import Adam


def test_steps_and_state_are_those_of_pytorch() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (nn.Parameter(torch.ones(5, 3)) for _ in range(2))
    adam, reference = Adam([ours], lr=0.1, fused=True), torch.optim.Adam([theirs], lr=0.1, fused=True)
    for _ in range(5):
        ours.grad = torch.randn(5, 3, generator=generator)
        theirs.grad = ours.grad.clone()
        adam.step()
        reference.step()
    assert torch.equal(ours, theirs) and ours.requires_grad
    other = Adam([nn.Parameter(torch.ones(5, 3))], lr=0.3)
    other.load_state_dict(adam.state_dict())
    assert other.param_groups[0]["lr"] == 0.1
    adam.zero_grad()
    assert ours.grad is None


def test_no_compiler_is_loaded() -> None:
    program = """
import sys
from torch import nn, ones
from inrcodec.fit.training.adam import Adam
weight = nn.Parameter(ones(3))
adam = Adam([weight])
weight.grad = ones(3)
adam.step()
adam.zero_grad()
adam.load_state_dict(adam.state_dict())
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
