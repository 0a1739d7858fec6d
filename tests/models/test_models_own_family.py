"""The example of a family of one's own, from its package to a decoded video; families made from modules."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from codec_samples import moving_gradient, write_clip
from command_line import ROOT, environment, installed_example, only_line
from torch import Tensor, nn

import inrcodec
from bitstream import BitstreamError
from inrcodec import EncodeSettings, ModuleFamily, Silent, SourceSettings
from inrcodec.cli.main import run as command_line
from inrcodec.encoder.resume import request_of
from inrcodec.errors import InrcError, UsageError
from inrcodec.models.family import BudgetTooSmall, Role, VideoInfo
from inrcodec.models.installed import installed_family
from inrcodec.video import survey_video

UNKNOWN = "inrc: error: this file was made by family 'wave', which is not installed; install the package"
VIDEO = VideoInfo(20, 12, 4)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed_example(tmp_path_factory.mktemp("site"))


def run(site: Path | None, folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run `inrc` in `folder`, with the package of `site` if there is one."""
    paths = [str(ROOT)] if site is None else [str(ROOT), str(site)]
    command = [sys.executable, "-m", "inrcodec", *arguments]
    variables = environment(PYTHONPATH=os.pathsep.join(paths))
    return subprocess.run(command, capture_output=True, cwd=folder, env=variables, timeout=120)


ASKED: dict[str, Any] = {"size_bytes": 4000, "model": "wave", "segment": 2, "device": "cpu"}


@pytest.mark.end_to_end
def test_the_example_is_fitted_and_decoded_where_it_is_installed(site: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "in.mp4", moving_gradient(32, 24, 4))
    encode = ["encode", "in.mp4", "-q", "--json", "--model", "wave", "--size", "4k", "--device", "cpu"]
    done = run(site, tmp_path, *encode, "--epochs", "10", "--segment", "2", "-o", "out.inrv")
    assert done.returncode == 0, done.stderr.decode()
    result = json.loads(done.stdout)
    assert result["family"] == "wave" and result["segments"] == 2 and result["file_bytes"] <= 4000
    assert result["psnr_db"] > 12
    done = run(site, tmp_path, "info", "out.inrv")
    assert "frames 0 to 1: wave of package inrc-wave 0.1, seed 0" in done.stdout.decode()
    done = run(site, tmp_path, "decode", "out.inrv", "-o", "out.mkv", "-q", "--device", "cpu")
    assert done.returncode == 0 and (tmp_path / "out.mkv").stat().st_size

    for command in (["info"], ["decode", "-o", "new.mp4"]):
        done = run(None, tmp_path, *command, "out.inrv")
        assert only_line(done.stderr).startswith(UNKNOWN)
        assert done.returncode == 1 and not (tmp_path / "new.mp4").exists()
    done = run(None, tmp_path, *encode, "-o", "new.inrv")
    assert done.returncode == 2 and "unknown model 'wave'; known: hnerv" in only_line(done.stderr)


@pytest.mark.end_to_end
def test_workers_and_warm_starts_find_the_package(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(site)
    installed_family.cache_clear()
    frames = moving_gradient(32, 24, 4)
    # A worker is another process, which has to find the package as well.
    first = inrcodec.encode(frames, tmp_path / "a.inrv", epochs=5, workers="local:1", **ASKED)
    inrcodec.encode(frames, tmp_path / "b.inrv", epochs=5, **ASKED)
    assert (tmp_path / "a.inrv").read_bytes() == (tmp_path / "b.inrv").read_bytes()
    more = inrcodec.encode(
        frames, tmp_path / "c.inrv", epochs=5, resume_from=tmp_path / "a.inrv", device="cpu"
    )
    assert more.family == "wave" and more.psnr_db >= first.psnr_db
    report = inrcodec.info(tmp_path / "c.inrv").as_dict()
    assert [one["package"] for one in report["segments"]] == ["inrc-wave 0.1"] * 2
    survey = survey_video(str(write_clip(tmp_path / "in.mp4", frames)), SourceSettings(), 0, Silent())
    assert request_of(EncodeSettings(model="wave"), survey)["version"][-1] == "inrc-wave 0.1"
    assert len(request_of(EncodeSettings(), survey)["version"]) == 3

    monkeypatch.undo()
    installed_family.cache_clear()
    for command in (["export", "-o", f"{tmp_path}/folder"], ["eval", f"{tmp_path}/in.mp4"], ["verify"]):
        assert command_line([*command, f"{tmp_path}/a.inrv"]) == 1


class Small(nn.Module):
    """A module with parameters of 0 to 5 axes, and a buffer."""

    def __init__(self, width: int, video: VideoInfo) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))
        self.deep = nn.Parameter(torch.randn(width, 1, 2, 1, 3))
        self.stem = nn.Linear(2, width * 6)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Conv2d(width, 3 * 64, 3, padding=1)
        self.register_buffer("phases", torch.arange(2.0))

    def forward(self, times: Tensor) -> Tensor:
        waves = torch.sin(times[:, None] + self.phases)
        grid = self.norm(self.stem(waves).reshape(len(times), -1, 6)).reshape(len(times), -1, 2, 3)
        grid = grid * self.gain + self.deep.reshape(-1, 2, 3)
        return torch.sigmoid(nn.functional.pixel_shuffle(self.head(grid), 8))


class SmallFamily(ModuleFamily):
    wire_id, name, summary, largest_width = 200, "small", "of this test", 32

    def network(self, width: int, video: VideoInfo) -> nn.Module:
        return Small(width, video)


FAMILY = SmallFamily()
CONFIG = FAMILY.plan(VIDEO, 0, {"width": "2"}, seed=3)


def test_shapes_and_costs_follow_from_the_module() -> None:
    shapes = {spec.name: (spec.role, spec.shape) for spec in FAMILY.tensors(CONFIG, VIDEO)}
    assert shapes == {
        "gain": (Role.BIAS, (1,)),
        "deep": (Role.WEIGHT, (2, 6)),
        "stem.weight": (Role.WEIGHT, (12, 2)),
        "stem.bias": (Role.BIAS, (12,)),
        "norm.weight": (Role.BIAS, (6,)),
        "norm.bias": (Role.BIAS, (6,)),
        "head.weight": (Role.WEIGHT, (192, 2, 3, 3)),
        "head.bias": (Role.BIAS, (192,)),
    }
    assert FAMILY.coded_size(CONFIG, VIDEO) == (24, 16)
    assert FAMILY.multiplication_count(CONFIG, VIDEO) == 12 * 2 + 192 * 2 * 9 * 6
    head = 12 + 192 * 2 * 9 + 192 + 2 * 192 * 6
    assert FAMILY.activation_count(CONFIG, VIDEO) == max(head, 3 * 24 * 16 * 3)


def test_plans_buy_width_and_configs_are_checked() -> None:
    widths = [FAMILY.plan(VIDEO, bits, {}, 0).width for bits in (1e4, 4e4, 8e4, 1e9)]
    assert widths == sorted(set(widths)) and widths[-1] == 32
    with pytest.raises(BudgetTooSmall):
        FAMILY.plan(VIDEO, 10, {}, 0)
    with pytest.raises(UsageError, match="small has no option 'depth'; it has: width"):
        FAMILY.plan(VIDEO, 1e5, {"depth": "2"}, 0)
    with pytest.raises(UsageError, match="from 1 to 32, found '33'"):
        FAMILY.plan(VIDEO, 1e5, {"width": "33"}, 0)
    assert FAMILY.unpack(FAMILY.pack(CONFIG), VIDEO, 3) == CONFIG
    for raw in (b"", b"\0", b"\x21", b"\2\0"):
        with pytest.raises(BitstreamError):
            FAMILY.unpack(raw, VIDEO, 3)


def test_its_fit_and_its_decoder_render_the_same_frames() -> None:
    state = torch.get_rng_state()
    representation = FAMILY.representation(CONFIG, VIDEO, 3)
    again = FAMILY.representation(CONFIG, VIDEO, 3)
    assert torch.equal(state, torch.get_rng_state())
    tensors = representation.transmitted(None, torch.arange(1))
    assert {name: tuple(one.shape) for name, one in tensors.items()} == {
        spec.name: spec.shape for spec in FAMILY.tensors(CONFIG, VIDEO)
    }
    assert all(
        torch.equal(one, again.transmitted(None, torch.arange(1))[name]) for name, one in tensors.items()
    )
    chosen = [one for group in representation.groups() for one in group.parameters]
    assert {id(one) for one in chosen} == {id(one) for one in representation.module.parameters()}
    frames = representation.render(tensors, torch.arange(4))
    assert frames.shape == (4, 3, 12, 20)
    decoder = FAMILY.decoder(CONFIG, VIDEO, {name: one.detach() for name, one in tensors.items()})
    with torch.no_grad():
        for position in range(4):
            assert torch.allclose(decoder(torch.tensor([position])), frames[position], atol=1e-6)
        between = decoder(torch.tensor([0.5], dtype=torch.float64))
    assert not torch.equal(between[0], frames[0]) and math.isfinite(float(between.sum()))
    frames.sum().backward()
    assert all(one.grad is not None for one in representation.module.parameters())


class Reading(Small):
    def forward(self, times: Tensor) -> Tensor:
        return super().forward(times) * float(times[0])


class Tiny(Small):
    def forward(self, times: Tensor) -> Tensor:
        return super().forward(times)[..., :11, :]


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (Reading, "small: the module does not run on the meta device: "),
        (
            Tiny,
            r"expected frames of shape \(1, 3, 12, 20\) or larger from the module, found \(1, 3, 11, 24\)",
        ),
    ],
)
def test_a_module_that_cannot_be_used_costs_one_line(module: type[Small], expected: str) -> None:
    class Other(SmallFamily):
        def network(self, width: int, video: VideoInfo) -> nn.Module:
            return module(width, video)

    with pytest.raises(InrcError, match=expected):
        Other().plan(VIDEO, 1e5, {}, 0)


@pytest.mark.end_to_end
def test_a_fit_of_it_is_coded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hurried: None) -> None:
    monkeypatch.setattr("inrcodec.models.registry._OWN", {"small": FAMILY})
    monkeypatch.setattr("inrcodec.models.registry._installed", lambda name: Installed())
    path = tmp_path / "out.inrv"
    frames = moving_gradient(20, 12, 4)
    result = inrcodec.encode(frames, path, fps=25, model="small", size_bytes=3000, epochs=5, device="cpu")
    with inrcodec.open(path, "cpu", "float32") as video:
        decoded, single = video[:], video[2]
    assert decoded.shape == (4, 12, 20, 3) and result.file_bytes <= 3000
    assert result.family == "small" and np.array_equal(decoded[2], single)


class Installed:
    family, package = FAMILY, "inrc-small 1"
