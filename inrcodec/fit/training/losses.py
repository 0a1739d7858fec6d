"""Losses of a fit: differences of rendered frames from their source.

    l2           mean squared error, from which PSNR is computed
    l1           mean absolute error
    l1+ssim      0.7 L1 + 0.3 (1 - SSIM)              (NeRV, section 3.1; SNeRV, equation 2)
    l1+ms-ssim   0.7 L1 + 0.3 (1 - MS-SSIM)
    wavelet      l1+ssim of the frame, of its low-pass Haar band and of its three high-pass bands
                                                      (SNeRV, section 3.5, equation 3)

SSIM has a Gaussian window of 11 pixels (see `similarity`). All losses are means, so they do not depend on the
size of a frame or batch, and are computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.errors import UsageError
from inrcodec.fit.training.similarity import ms_ssim, ssim
from inrcodec.models.layers.haar import haar

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""Rendered and source frames (B, 3, height, width) in [0, 1], float32 -> a scalar, 0 for equal frames."""

L1_SHARE = 0.7
"""Weight of L1 in SNeRV (section 3.5) and NeRV (section 4.1); the rest is the weight of SSIM."""
CODE_VALUE = 2 / 255
"""One code value of a frame, in its low-pass band: the minimum range by which a band is normalised."""


def loss_by_name(name: str) -> LossFunction:
    """The loss of this name in `settings.presets.LOSSES`; raises `UsageError` if there is none."""
    if name not in _LOSSES:
        raise UsageError(f"unknown loss {name!r}; known: {', '.join(_LOSSES)}")
    return _LOSSES[name]


def l1_and_ssim(rendered: Tensor, source: Tensor, data_range: float = 1.0) -> Tensor:
    """0.7 L1 + 0.3 (1 - SSIM) of values (B, C, height, width) that span `data_range`."""
    return L1_SHARE * F.l1_loss(rendered, source) + (1 - L1_SHARE) * (1 - ssim(rendered, source, data_range))


class _FiniteGradient(torch.autograd.Function):
    """The identity, with a gradient of zero where it would not be finite."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].nan_to_num(0.0, 0.0, 0.0)


def l1_and_ms_ssim(rendered: Tensor, source: Tensor) -> Tensor:
    """0.7 L1 + 0.3 (1 - MS-SSIM).

    If the structure of a frame's colour channel is opposite to the source's, its MS-SSIM is clamped to 0
    and the gradient is infinity times zero. Only L1 acts on such a channel.
    """
    similarity = ms_ssim(_FiniteGradient.apply(rendered), source)  # type: ignore[no-untyped-call]
    return L1_SHARE * F.l1_loss(rendered, source) + (1 - L1_SHARE) * (1 - similarity)


def wavelet(rendered: Tensor, source: Tensor) -> Tensor:
    """SNeRV's loss: L1 and SSIM of the frame, of its low-pass Haar band and of its high-pass bands, added.

    The low-pass band is normalised by the minimum and maximum of each source frame's band; the high-pass
    bands, which range from -1 to 1, are not. The Haar transform is orthogonal, so for a family that renders
    bands, the bands of the rendered frame are those bands.
    """
    (low, high), (source_low, source_high) = haar(rendered), haar(source)
    least = source_low.amin(dim=(1, 2, 3), keepdim=True)
    extent = (source_low.amax(dim=(1, 2, 3), keepdim=True) - least).clamp(min=CODE_VALUE)
    return (
        l1_and_ssim(rendered, source)
        + l1_and_ssim((low - least) / extent, (source_low - least) / extent)
        + l1_and_ssim(high.flatten(1, 2), source_high.flatten(1, 2), data_range=2.0)
    )


def outside_holes(rendered: Tensor, frames: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """`rendered` (B, 3, height, width) with the source's pixels in the holes, and a factor for the loss.

    Holes are where `keep` (B, height, width) is False; `frames` have one colour there (`video.mask`). Holes
    then have no error, no gradient, and the same edges in both pictures. The factor turns a mean over all
    pixels into one over the kept pixels, exactly for l1 and l2 (HNeRV, equation 2). SSIM and Haar bands
    cover neighbourhoods, so next to holes they compare the filling with itself; they get the same factor as
    the l1 in their loss.
    """
    return torch.where(keep[:, None], rendered, frames), keep.numel() / keep.sum()


_LOSSES: Mapping[str, LossFunction] = {
    "l2": F.mse_loss,
    "l1": F.l1_loss,
    "l1+ssim": l1_and_ssim,
    "l1+ms-ssim": l1_and_ms_ssim,
    "wavelet": wavelet,
}
