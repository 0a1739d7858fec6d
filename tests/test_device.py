"""Names of devices and precisions."""

from __future__ import annotations

import pytest
import torch

from inrcodec.device import autocast, choose_device, compute_dtype, describe_device
from inrcodec.errors import UsageError

CPU = torch.device("cpu")


def test_devices_by_name() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    assert describe_device(CPU).startswith("cpu (")


@pytest.mark.parametrize("name", ["", "gpu", "cuda:99", "cpu:x", "meta", "xpu"])
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(UsageError):
        choose_device(name)


def test_precisions() -> None:
    assert compute_dtype("float32", CPU) == torch.float32
    assert compute_dtype("bfloat16", CPU) == torch.bfloat16
    assert compute_dtype("auto", CPU) in (torch.float32, torch.bfloat16)
    for name in ("float16", "", "BFLOAT16"):
        with pytest.raises(UsageError, match="precision"):
            compute_dtype(name, CPU)


def test_convolutions_run_in_the_chosen_precision() -> None:
    weight, frame = torch.ones(3, 3, 1, 1), torch.ones(1, 3, 4, 4)
    for dtype in (torch.float32, torch.bfloat16):
        with autocast(CPU, dtype):
            assert torch.nn.functional.conv2d(frame, weight).dtype == dtype
    assert weight.dtype == torch.float32
