"""Tensors of a network side by side in rows, so that one operation serves all of them.

A step of a fit does the same with each stepped tensor. On a GPU, launching an operation for each of ten to a
hundred small tensors takes longer than computing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

ROW = 128
"""Values of a row; a row belongs to one tensor, whose last row is padded with zeros."""

Form = tuple[tuple[int, ...], bool]
"""Shape of a tensor, and whether its memory is channels-last."""


def form_of(value: Tensor) -> Form:
    """The form of a tensor."""
    is_last = value.dim() == 4 and value.is_contiguous(memory_format=torch.channels_last)
    return tuple(value.shape), is_last


class _Parted(torch.autograd.Function):
    """Every other part of rows (R, `ROW`); one operation joins the gradients of all parts."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, sizes: Sequence[int], padding: Tensor) -> tuple[Tensor, ...]:
        ctx.sizes, ctx.padding = sizes, padding
        return rows.reshape(-1).split(sizes)[::2]  # type: ignore[no-any-return, no-untyped-call]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        parts: list[Tensor] = []
        for gradient, padding in zip(gradients, ctx.sizes[1::2], strict=True):
            parts += [gradient, ctx.padding[:padding]]
        return torch.cat(parts).view(-1, ROW), None, None


class FlatLayout:
    """The rows of tensors of the given forms, on a device."""

    def __init__(self, forms: Sequence[Form], device: torch.device) -> None:
        """`forms` has at least one tensor, and none that is empty."""
        self._forms = forms
        counts = torch.tensor([torch.Size(shape).numel() for shape, _ in forms])
        rows = (counts + ROW - 1) // ROW
        self._sizes = [
            size for n, r in zip(counts.tolist(), rows.tolist(), strict=True) for size in (n, r * ROW - n)
        ]
        owners = torch.repeat_interleave(torch.arange(len(forms)), rows)
        # Products with a matrix of ones and zeros are exact, and their gradients are sums in a fixed order.
        self._membership = torch.nn.functional.one_hot(owners, len(forms)).float().to(device)
        self._counts = counts.to(device)
        self._padding = torch.zeros(ROW, device=device)
        within = (
            torch.arange(ROW) + ROW * (torch.arange(len(owners)) - (rows.cumsum(0) - rows)[owners])[:, None]
        )
        self.is_value = (within < counts[owners][:, None]).to(device)
        """Whether a place (R, `ROW`) has a value and not padding."""

    def joined(self, values: Iterable[Tensor]) -> Tensor:
        """The values in rows (R, `ROW`)."""
        parts: list[Tensor] = []
        for value, (_, is_last), padding in zip(values, self._forms, self._sizes[1::2], strict=True):
            # In the order of memory this is a view.
            parts += [(value.permute(0, 2, 3, 1) if is_last else value).reshape(-1), self._padding[:padding]]
        return torch.cat(parts).view(-1, ROW)

    def parted(self, rows: Tensor) -> list[Tensor]:
        """Inverse of `joined`: each tensor in its form."""
        parts: tuple[Tensor, ...] = _Parted.apply(rows, self._sizes, self._padding)  # type: ignore[no-untyped-call]
        made = []
        for part, (shape, is_last) in zip(parts, self._forms, strict=True):
            if is_last:
                count, channels, height, width = shape
                made.append(part.view(count, height, width, channels).permute(0, 3, 1, 2))
            else:
                made.append(part.view(shape))
        return made

    def spread(self, numbers: Tensor) -> Tensor:
        """A number (N,) of each tensor for each of its rows, (R, 1)."""
        return torch.mv(self._membership, numbers)[:, None]

    def means(self, rows: Tensor) -> Tensor:
        """The mean (N,) of each tensor's values (R, `ROW`), which are zero where padded."""
        return torch.mv(self._membership.T, rows.sum(1)) / self._counts
