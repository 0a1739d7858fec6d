"""The authors' code, loaded from checkouts: their networks, and HNeRV training as in their program.

haochen-rye/HNeRV also contains NeRV, and qwertja/SNeRV also contains SNeRV-T. Modules that they import but
do not need here (timm, decord, ...) may be missing: mock objects replace them.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from benchmarks.authors.plain import batches

UNUSED = (
    "decord",
    "matplotlib.path",
    "pkg_resources",
    "PIL.Image",
    "pytorch_msssim",
    "pytorchvideo.data.encoded_video",
    "timm.models.layers",
    "torchvision.io",
    "torchvision.transforms.functional",
)
"""Modules that their code imports, but that these networks do not need except for `trunc_normal_`."""
TEMPORAL_SIZES = {(3, 2): ("480_960", 5), (2, 2, 2): ("640_1280", 5), (2,): ("640_1280", 20)}
"""Options of their SNeRV-T (frame size, rows of a temporal embedding) by the temporal strides they select."""


@contextmanager
def _stand_ins(folder: Path) -> Iterator[None]:
    """Put `folder` on the import path and a mock object in place of each missing module."""
    missing: dict[str, Any] = {}
    for name in UNUSED:
        packages = name.split(".")
        if importlib.util.find_spec(packages[0]) is None:
            parents = [".".join(packages[: depth + 1]) for depth in range(len(packages))]
            missing |= {parent: mock.MagicMock() for parent in parents}
    if "timm.models.layers" in missing:
        missing["timm.models.layers"].trunc_normal_ = torch.nn.init.trunc_normal_
    sys.path.insert(0, str(folder))
    sys.modules.update(missing)
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        theirs = [
            name
            for name, module in list(sys.modules.items())
            if Path(getattr(module, "__file__", None) or "/").is_relative_to(folder)
        ]
        for name in {*theirs, *missing}:
            del sys.modules[name]


class Authors:
    """The authors' networks and data set, loaded from their checkouts."""

    def __init__(self, hnerv: Path, snerv: Path | None = None) -> None:
        """Without a checkout of SNeRV, only NeRV and HNeRV are available."""
        with _stand_ins(hnerv):
            self.hnerv: Any = importlib.import_module("model_all")
            self.tools: Any = importlib.import_module("hnerv_utils")
        self._modules: list[ModuleType] = [self.hnerv, self.tools]
        if snerv is not None:
            with _stand_ins(snerv):
                self._snerv = importlib.import_module("model.snerv")
                self._snerv_t = importlib.import_module("model.snerv_t")
                self._dataset = importlib.import_module("model.dataset")
            self._modules += [self._snerv, self._snerv_t, self._dataset]

    def digests(self) -> dict[str, str]:
        """SHA-256 of the files with their networks and tools, by module name."""
        paths = {module.__name__: Path(str(module.__file__)) for module in self._modules}
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()}

    def network(self, family: str, config: Any) -> torch.nn.Module:
        """Their network for our config, with their initialisation."""
        options: dict[str, Any] = {
            "embed": "",
            "ks": "0_1_5",
            "reduce": 1.2,
            "lower_width": 12,
            "num_blks": "1_1",
            "conv_type": ["convnext", "pshuffel"],
            "norm": "none",
            "act": "gelu",
            "out_bias": "tanh",
            "fc_dim": config.width,
            "dec_strds": list(config.grid.strides),
            "enc_strds": list(config.grid.strides),
        }
        if family == "nerv":
            fc_hw = f"{config.grid.rows}_{config.grid.columns}"
            nerv = {"embed": f"pe_1.25_{config.frequencies}", "ks": "0_3_3", "reduce": 2.0, "fc_hw": fc_hw}
            options |= nerv | {"enc_strds": []}
        else:
            options["enc_dim"] = f"64_{config.embedding_channels}"
        if family == "hnerv":
            least, greatest = config.kernels
            options |= {"ks": f"0_{least}_{greatest}", "reduce": config.reduction / 100}
        if family.startswith("snerv"):
            options |= {"num_blocks": config.blocks, "emb_size": 0}
        if family == "snerv-t":
            options["crop_list"], options["emb_size"] = TEMPORAL_SIZES[config.temporal_strides]
            options["enc2_strds"] = list(config.temporal_grid.strides)
        if family == "snerv":
            create = self._snerv.SNeRV
        else:
            create = self._snerv_t.SNeRV_T if family == "snerv-t" else self.hnerv.HNeRV
        network: torch.nn.Module = create(SimpleNamespace(**options)).eval()
        return network

    def with_neighbours(self, frames: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
        """Each frame with the previous and the next one, as paired by their data set."""
        clip = self._dataset.VideoDataSet_pn.__new__(self._dataset.VideoDataSet_pn)
        clip.video, clip.img_load, clip.img_transform = list(frames), frames.__getitem__, lambda image: image
        samples = [clip[index] for index in range(len(frames))]
        return [tuple(sample[name][None] for name in ("img", "img_p", "img_n")) for sample in samples]


class AuthorsTraining:
    """Trains their HNeRV with their functions, in the order of their `train`, with their options for Bunny.

    The options are from their README. Frames come from memory, which favours them: their program reads an
    image file for each frame.
    """

    def __init__(
        self, authors: Authors, config: Any, frames: Tensor, epochs: int, device: torch.device
    ) -> None:
        """`frames` (T, 3, H, W) are float32 in [0, 1]."""
        torch.manual_seed(1)
        self.device = device
        self.network: Any = authors.network("hnerv", config).to(device).train()
        self._decoder: Any = authors.hnerv.HNeRVDecoder(self.network)
        self.tools = authors.tools
        self._options = SimpleNamespace(vid="bunny", lr=1e-3, lr_type="cosine_0.1_1_0.1", loss="L2")
        self._transform = authors.hnerv.TransformInput(self._options)
        self._optimizer = torch.optim.Adam(self.network.parameters(), weight_decay=0.0)
        self._batches, each = batches(frames)
        self.total_steps, self._done = epochs * each, 0

    def step(self) -> Tensor:
        """Do one step and return the PSNR of its frames."""
        with _chosen_algorithms():
            frames, target, mask = self._transform(next(self._batches).to(self.device))
            self.tools.adjust_lr(self._optimizer, self._done / self.total_steps, self._options)
            output = self.network(frames)[0]
            loss = self.tools.loss_fn(output * mask, target * mask, self._options.loss)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            self._done += 1
            psnr: Tensor = self.tools.psnr_fn_single(output.detach(), target)
            return psnr

    def decoder(self, embedding: Tensor) -> Tensor:
        """(B, d, h, w) -> (B, 3, H, W) in [0, 1]."""
        with _chosen_algorithms():
            frames: Tensor = self._decoder(embedding)
            return frames


def _chosen_algorithms() -> AbstractContextManager[None]:
    """Let cuDNN choose the fastest algorithm by measurement, as in their program."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=True)
