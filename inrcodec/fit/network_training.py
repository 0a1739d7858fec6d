"""Trains the planned network on a clip within the time limit and exports its transmitted tensors."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrcodec.coding.sections import Steps, encode_section
from inrcodec.errors import NetworkTooLarge, TargetUnreachable
from inrcodec.fit.job import FitJob
from inrcodec.fit.minmax import MinMaxQuantiser
from inrcodec.fit.network_start import continue_steps, initial_representation
from inrcodec.fit.quantiser import Quantiser
from inrcodec.fit.training.clock import Clock, StepClock, WallClock
from inrcodec.fit.training.loop import Fit, FitSettings
from inrcodec.fit.training.meter import Meter
from inrcodec.fit.training.optimizers import HIGHEST_MUON_RATE, capped_rate
from inrcodec.fit.training.pruning import PrunedRepresentation
from inrcodec.fit.training.rate_control import RateControl
from inrcodec.metrics import psnr_per_frame_db
from inrcodec.models.family import STEPPED_ROLES, Representation, Role
from inrcodec.models.layers.codes import as_array, as_codes, as_tensor, peak
from inrcodec.models.source import SourceFrames
from inrcodec.plan.budget import AIMED_FILL, AIMED_FILL_OF_GRIDS
from inrcodec.plan.network import SegmentPlan
from inrcodec.progress import CoursePoint, Progress
from inrcodec.samples import Samples, depth_of
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.presets import Preset
from inrcodec.system.device import autocast, compute_dtype
from inrcodec.video import Clip

SAMPLED_FRAMES = 16
"""Number of evenly spaced frames on which the unquantised model is measured."""
EXPORT_PIXELS = 1 << 20
"""Pixels per batch when embeddings are exported; a batch has at least one frame."""
LEAST_STEPS = 5
"""Minimum steps of a fit; a shorter time limit is refused."""
SPARE_BITS_PER_SYMBOL = 1.5
"""Bits per symbol by which the first steps are finer than planned; the rate term coarsens them."""


@dataclass(frozen=True)
class TrainedNetwork:
    """Trained values, and measurements of the unquantised model."""

    values: dict[str, NDArray[np.float32]]
    steps: dict[str, Steps]
    """Quantisation step of each stepped tensor, or one step per row."""
    sampled: NDArray[np.int64]
    """Indices of the frames on which the unquantised model was measured."""
    sampled_psnr_db: NDArray[np.float64]
    """PSNR of the unquantised model on those frames, dB."""
    fit_steps: int
    epochs: float
    seconds: float
    course: tuple[CoursePoint, ...] = ()
    check_seconds: float = 0.0
    """Expected time to decode and measure the coded file."""


def train_network(job: FitJob) -> TrainedNetwork:
    """Train the planned network.

    With a deadline, leaves time to export, to code, and to decode the file once. Reports the expected time
    before the first step. Resumes from the last checkpoint, if there is one. Raises `TargetUnreachable` if
    the bytes or the time are too few.
    """
    plan, clip, settings, device = job.plan, job.clip, job.settings, job.device
    deadline, progress, checkpoints = job.deadline, job.progress, job.checkpoints
    frames, procedure = as_tensor(clip.frames).to(device), settings.procedure
    representation = PrunedRepresentation(initial_representation(plan, frames), plan.specs, procedure.prune)
    _report_rate(representation, settings, progress)
    representation.module.to(device)
    representation.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fit_settings = _fit_settings(plan, settings, device, clip)
    renderer = _Renderer(representation, frames, fit_settings.dtype)
    first = renderer.values(torch.arange(min(8, len(frames)), device=device))
    fixed_bytes = _fixed_bytes(plan, first)
    _check_size(plan, first)
    has_grids = any(spec.role is Role.GRID for spec in plan.specs)
    aimed_fill = AIMED_FILL_OF_GRIDS if has_grids else AIMED_FILL
    symbol_bits = 8.0 * aimed_fill * max(0, plan.payload_bytes - fixed_bytes)
    quantiser = _quantiser(plan, procedure, first, symbol_bits).to(device)
    continue_steps(plan, quantiser)
    fit = Fit(representation, quantiser, frames, fit_settings, _resident_mask(clip, device))
    coding_seconds, check_seconds = _finishing_seconds(plan, renderer, first, quantiser)
    finishing_seconds = coding_seconds + check_seconds
    clock: Clock
    fit_deadline = deadline.less(finishing_seconds)
    if not deadline.is_limited:
        epochs = settings.epochs if settings.epochs is not None else procedure.epochs
        clock = StepClock(max(1, round(epochs * len(frames) / fit_settings.batch_frames)))
        progress.expect(clock.total_steps * fit.step_seconds() + finishing_seconds, epochs)
    else:
        step_seconds = fit.step_seconds()
        if checkpoints is None or not checkpoints.exists:
            _check_time(fit_deadline.left, step_seconds)
        clock = WallClock(deadline.ends, step_seconds=step_seconds, reserve=finishing_seconds)
        progress.expect(deadline.left, None)
    other_bits = 8.0 * (plan.overhead_bytes + fixed_bytes)
    epochs_a_step = fit_settings.batch_frames / len(frames)
    meter = Meter(progress, plan.video.pixel_count, other_bits, device, epochs_a_step)
    done = fit.run(clock, RateControl(symbol_bits, device), meter, checkpoints)
    sampled = np.unique(np.linspace(0, len(frames) - 1, SAMPLED_FRAMES).round().astype(np.int64))
    rendered = renderer.frames(torch.from_numpy(sampled).to(device))
    psnr = psnr_per_frame_db(clip.frames[sampled], rendered, clip.keep_of(sampled))
    values = renderer.export(plan)
    return TrainedNetwork(
        values,
        quantiser.steps(values),
        sampled,
        psnr,
        done.steps,
        done.epochs,
        done.seconds,
        tuple(meter.course.points),
        check_seconds,
    )


def _check_size(plan: SegmentPlan, values: Mapping[str, Tensor]) -> None:
    """Raise `NetworkTooLarge` if the smallest file exceeds the target; the plan has only estimated its size.

    Masks are as random now as they will be after the fit. Scales are all equal now but will not be then, so
    random ones replace them.
    """
    fixed = {spec.role for spec in plan.specs if spec.role not in STEPPED_ROLES}
    # The plan of a warm start was made with the real tensors.
    if not fixed or plan.start is not None:
        return
    arrays = {name: value.cpu().numpy() for name, value in values.items()}
    generator = np.random.default_rng(0)
    for spec in plan.specs:
        if spec.role is Role.SCALE:
            arrays[spec.name] = generator.standard_normal(spec.shape, np.float32)
    least = plan.least_bytes(arrays)
    if least > plan.target_bytes:
        held = " and ".join({Role.LEVELS: "masks", Role.SCALE: "scales"}[role] for role in sorted(fixed))
        raise NetworkTooLarge(f"the {held} of this {plan.family.name}", least)


def _report_rate(representation: Representation, settings: EncodeSettings, progress: Progress) -> None:
    """Report learning rates that are lowered for a wide network: as a note if the user chose the rate."""
    asked, adam = settings.procedure.learning_rate, settings.procedure.optimizer == "adam"
    limit = capped_rate(representation, asked)
    highest = asked if adam else min(asked, HIGHEST_MUON_RATE)
    rates = []
    if highest < asked:
        rates.append(f" of convolutions is {highest:.3g}")
    if limit is not None:
        rates.append(f"{'' if adam else ' of biases and norms'} is {limit:.3g}")
    if rates:
        tell = progress.detail if settings.learning_rate is None else progress.note
        told = " and that".join(rates)
        tell(f"the learning rate{told}, not {asked:g}: a network this wide diverges at higher rates")


def _resident_mask(clip: Clip, device: torch.device) -> Tensor | None:
    """`Clip.keep` on the device as (T, height, width); a mask for all frames is stored once."""
    if clip.keep is None:
        return None
    return torch.from_numpy(clip.keep).to(device).expand(len(clip.frames), -1, -1)


def _fit_settings(
    plan: SegmentPlan, settings: EncodeSettings, device: torch.device, clip: Clip
) -> FitSettings:
    procedure = settings.procedure
    return FitSettings(
        learning_rate=procedure.learning_rate,
        optimizer=procedure.optimizer,
        # Boosts suit random weights only, and a rate that the user chose stays as it is.
        boosts_rates=plan.start is None and settings.learning_rate is None,
        batch_frames=min(procedure.batch_frames, len(clip.frames)),
        is_quantised=procedure.minmax is None,
        seed=plan.seed,
        dtype=compute_dtype("auto", device, depth_of(clip.frames)),
        loss=procedure.loss,
    )


class _Renderer:
    """Exports the tensors of a representation and renders its frames, without gradients."""

    def __init__(self, representation: Representation, clip: Tensor, dtype: torch.dtype) -> None:
        self._representation, self._clip, self._dtype = representation, clip, dtype

    def values(self, indices: Tensor) -> dict[str, Tensor]:
        """Transmitted tensors; per-frame ones for frames `indices` (B,)."""
        with torch.no_grad(), autocast(self._clip.device, self._dtype):
            values = self._representation.transmitted(SourceFrames(self._clip, indices), indices)
        return {name: value.detach() for name, value in values.items()}

    def frames(self, indices: Tensor) -> Samples:
        """Frames `indices` (B,) of the unquantised model as (B, height, width, 3), one at a time."""
        rendered = []
        for index in torch.split(indices, 1):
            with torch.no_grad(), autocast(self._clip.device, self._dtype):
                frame = self._representation.render(self.values(index), index)
            rendered.append(as_array(as_codes(frame.float(), peak(self._clip))))
        return np.concatenate(rendered)

    def export(self, plan: SegmentPlan) -> dict[str, NDArray[np.float32]]:
        """The values of every transmitted tensor, on the CPU."""
        per_frame = [spec.name for spec in plan.specs if spec.per_frame]
        frame_pixels = plan.video.width * plan.video.height
        frames = torch.arange(len(self._clip) if per_frame else 1, device=self._clip.device)
        batches = torch.split(frames, max(1, EXPORT_PIXELS // frame_pixels))
        first, *others = (self.values(batch) for batch in batches)
        merged = {name: torch.cat([part[name] for part in (first, *others)]) for name in per_frame}
        return {name: value.float().cpu().numpy() for name, value in (first | merged).items()}


def _fixed_bytes(plan: SegmentPlan, values: Mapping[str, Tensor]) -> int:
    """Coded size of the tensors without a step, which does not change while fitting."""
    return sum(
        len(encode_section(spec, values[spec.name].cpu().numpy(), None).payload)
        for spec in plan.specs
        if spec.role not in STEPPED_ROLES
    )


def _quantiser(
    plan: SegmentPlan, procedure: Preset, values: Mapping[str, Tensor], symbol_bits: float
) -> Quantiser | MinMaxQuantiser:
    if procedure.minmax is not None:
        return MinMaxQuantiser(plan.specs, procedure.minmax, symbol_bits)
    stepped = sum(spec.count for spec in plan.specs if spec.role in STEPPED_ROLES)
    return Quantiser(plan.specs, values, symbol_bits / max(stepped, 1) + SPARE_BITS_PER_SYMBOL)


def _check_time(seconds: float, step_seconds: float) -> None:
    """Raise `TargetUnreachable` if `seconds` are less than `LEAST_STEPS` steps take."""
    if seconds < LEAST_STEPS * step_seconds:
        more = math.ceil(LEAST_STEPS * step_seconds - seconds)
        raise TargetUnreachable(f"--time is too short to fit anything; give at least {more} seconds more")


def _finishing_seconds(
    plan: SegmentPlan,
    renderer: _Renderer,
    values: Mapping[str, Tensor],
    quantiser: Quantiser | MinMaxQuantiser,
) -> tuple[float, float]:
    """Estimated seconds for export and coding to size, and for the check, from one frame and one coding."""
    index = torch.zeros(1, dtype=torch.int64, device=next(iter(values.values())).device)
    renderer.frames(index)
    started = time.monotonic()
    renderer.frames(index)
    frame_seconds = time.monotonic() - started
    arrays = {name: value.float().cpu().numpy() for name, value in values.items()}
    started = time.monotonic()
    steps = quantiser.steps(arrays)
    steps_seconds = time.monotonic() - started
    started = time.monotonic()
    for spec in plan.specs:
        if spec.role in STEPPED_ROLES and not spec.per_frame:
            encode_section(spec, arrays[spec.name], steps[spec.name])
    coding_seconds = time.monotonic() - started
    # `frame_seconds` includes making the embedding; coding to size takes about ten codings.
    exporting = (0.25 * plan.video.frame_count + SAMPLED_FRAMES) * frame_seconds
    coding = exporting + steps_seconds + 10 * coding_seconds
    return coding, plan.video.frame_count * frame_seconds + 0.5
