"""Adam without the import of PyTorch's compiler by `torch.optim`, which takes two seconds."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim import Optimizer


class Adam(torch.optim.Adam):
    """`torch.optim.Adam` for code that is not compiled: the same steps, but two seconds less per process.

    PyTorch (2.13) imports its compiler only to mark methods as not to be compiled. This class marks them
    itself and calls the function that PyTorch wraps as `step`. With a version that works differently the
    import takes place again, and nothing else changes.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take the arguments of `torch.optim.Adam`."""
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

    def _cuda_graph_capture_health_check(self) -> None:
        """Do nothing: fused steps with a rate on the device can be captured, and also run without a graph."""
