"""b-bit min-max quantisation of float values after a fit, as the papers do it (HNeRV, appendix A.2, eq. 3).

The step is (max - min) / (2^b - 1). The papers store the minimum too and count from it; here symbols are
round(value / step), so the offset is the whole number of steps nearest to the minimum. That moves no value
by more than half a step, keeps pruned weights exactly zero, and entropy coding does not care where a range
of symbols begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inrcodec.compression.quantiser import Quantised, Rounding
from inrcodec.compression.sections import Arrays, Steps, to_rows
from inrcodec.models.family import STEPPED_ROLES, Role, TensorSpec
from inrcodec.settings import MinMaxBits

STEP_BITS = 32
"""What a step takes in the file."""


class MinMaxQuantiser(nn.Module):
    """Takes the place of `Quantiser` in a fit of float values: nothing to learn, steps only in the end."""

    def __init__(self, specs: Sequence[TensorSpec], bits: MinMaxBits, total_bits: float) -> None:
        """`total_bits` is what all stepped tensors of `specs` are planned to take, coded."""
        super().__init__()
        self._bits = {
            spec: bits.embedding if spec.role is Role.EMBEDDING else bits.weight
            for spec in specs
            if spec.role in STEPPED_ROLES
        }
        self._total_bits = total_bits

    def calibrate(self, values: Mapping[str, Tensor]) -> None:
        """Nothing: there are no steps yet."""

    def steps(self, values: Arrays) -> dict[str, Steps]:
        """The step of each stepped tensor, or one for each of its rows where that is better."""
        return {
            spec.name: choose_steps(to_rows(spec, values[spec.name].astype(np.float64)), bits)
            for spec, bits in self._bits.items()
        }

    def forward(
        self, values: Mapping[str, Tensor], rounding: Rounding, generator: torch.Generator | None = None
    ) -> Quantised:
        """`values` as they are, and the bits of the plan."""
        device = next(iter(values.values())).device
        return Quantised(dict(values), torch.tensor(self._total_bits, device=device))


def choose_steps(rows: NDArray[np.float64], bits: int) -> Steps:
    """One min-max step for all `rows` (R, columns), or one a row, whichever leaves the smaller error.

    What the steps of rows take is charged for: a bit a value more would quarter the squared error, so the
    error of rows counts 4^(bits of their further steps a value) times.
    """
    whole = float(_step(rows.reshape(1, -1), bits, 1.0)[0])
    by_row = _step(rows, bits, whole)
    further_bits = STEP_BITS * (len(rows) - 1) / max(rows.size, 1)
    if further_bits < bits and _squared_error(rows, by_row) * 4.0**further_bits < _squared_error(
        rows, np.array([whole])
    ):
        return tuple(by_row.tolist())
    return whole


def _step(rows: NDArray[np.float64], bits: int, otherwise: float) -> NDArray[np.float64]:
    """The min-max step of each row (R,); a constant row's is its magnitude, that of zeros `otherwise`."""
    extent = rows.max(axis=1, initial=-np.inf) - rows.min(axis=1, initial=np.inf)
    steps = np.where(extent > 0, extent / (2**bits - 1), np.abs(rows).max(axis=1, initial=0.0))
    return np.where(steps > 0, steps, otherwise)


def _squared_error(rows: NDArray[np.float64], steps: NDArray[np.float64]) -> float:
    """Mean squared error of `rows` rounded to whole steps."""
    exact = steps[:, None]
    return float(np.square(np.rint(rows / exact) * exact - rows).mean())
