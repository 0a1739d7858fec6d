"""Adam without the compiler, which `torch.optim` imports to keep it away: that takes two seconds."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim import Optimizer


class Adam(torch.optim.Adam):
    """`torch.optim.Adam` where nothing is compiled: the same steps, begun two seconds sooner in each process.

    Its methods are marked as PyTorch (2.13) marks them after that import, and a step is the one that PyTorch
    wraps. A version that does otherwise takes the two seconds again, and nothing else changes.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As `torch.optim.Adam`."""
        for method in (
            Optimizer.add_param_group,
            Optimizer.zero_grad,
            Optimizer.state_dict,
            Optimizer.load_state_dict,
        ):
            plain = getattr(method, "__wrapped__", None)
            if plain is not None:
                vars(plain).setdefault("__dynamo_disable", plain)
        super().__init__(*arguments, **options)

    step = torch.no_grad()(getattr(torch.optim.Adam.step, "__wrapped__", torch.optim.Adam.step))
