"""The fitting loop, which trains a representation and its quantisation steps on frames.

Frames are fitted whole and at full size: beginning at half the resolution, and fitting random windows, both
gave less quality in equal time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.fit.minmax import MinMaxQuantiser
from inrcodec.fit.quantiser import Quantiser, Rounding
from inrcodec.fit.training.checkpoint import Checkpoints, Stateful
from inrcodec.fit.training.clock import Clock
from inrcodec.fit.training.graph import GraphedSteps, stream_of_steps
from inrcodec.fit.training.losses import loss_by_name, outside_holes
from inrcodec.fit.training.meter import Meter
from inrcodec.fit.training.muon import Muon
from inrcodec.fit.training.optimizers import boosted_rate, make_optimizers, move_rates, set_rates
from inrcodec.fit.training.pruning import PrunedRepresentation
from inrcodec.fit.training.rate_control import RateControl
from inrcodec.fit.training.step_state import Batches, Clipping, Noise, StepResult
from inrcodec.models.layers.codes import as_array, as_codes, peak
from inrcodec.models.source import SourceFrames
from inrcodec.progress import Picture, Progress
from inrcodec.system.device import autocast, repeatable_convolutions
from inrcodec.system.memory import KEPT_MEMORY
from inrcodec.system.signals import DeferredSignals

ROUNDING_FROM = 0.75
"""Fraction of a quantised fit after which values are rounded, with straight-through gradients."""
PRUNING_AT = 0.75
"""Fraction of a fit after which the smallest weights are pruned; the rest of it fine-tunes the others."""


@dataclass(frozen=True)
class FitSettings:
    """Settings of a fit; see `settings.presets.Preset`."""

    learning_rate: float
    batch_frames: int
    is_quantised: bool
    """Whether fitting quantises values and includes their bits in the loss; otherwise it is a float fit."""
    seed: int
    dtype: torch.dtype
    optimizer: str
    """One of `settings.presets.OPTIMIZERS`."""
    boosts_rates: bool = True
    """Whether Muon's rates are raised if few steps are expected; see `clock.rate_boost`."""
    loss: str = "l2"
    """One of `settings.presets.LOSSES`."""


@dataclass(frozen=True)
class FitResult:
    """The length of a fit, including the part before it was resumed."""

    steps: int
    epochs: float
    seconds: float


@dataclass(frozen=True)
class Fit:
    """One fit of a representation to a clip (T, height, width, 3) that is on the device of the fit.

    Pixels that are False in `keep` (T, height, width) are holes: `clip` has a filling there, and the loss
    ignores them.
    """

    representation: PrunedRepresentation
    quantiser: Quantiser | MinMaxQuantiser
    clip: Tensor
    settings: FitSettings
    keep: Tensor | None = None

    def run(
        self,
        clock: Clock,
        rate_control: RateControl,
        meter: Meter,
        checkpoints: Checkpoints | None = None,
    ) -> FitResult:
        """Minimise the loss plus the rate term; the learning rate follows the clock.

        With `checkpoints`, resumes from the last one as if the fit had never stopped, saves more while it
        runs, and saves at the end and before a signal stops the fit.
        """
        settings, device = self.settings, self.clip.device
        optimizers = self._optimizers()
        clipping = Clipping(list(self.representation.module.parameters()))
        noise = Noise(settings.seed, device)
        batches = Batches(len(self.clip), settings.batch_frames, settings.seed, device)
        parts: dict[str, Stateful] = {
            "module": self.representation.module,
            "quantiser": self.quantiser,
            "pruning": self.representation,
            **optimizers,
            "clipping": clipping,
            "noise": noise,
            "batches": batches,
            "rate control": rate_control,
        }
        at = _Position()
        if checkpoints is not None:
            at.resume(checkpoints, parts, clock, device)
        move_rates(optimizers.values(), device)
        expected_steps = clock.expected_steps(at.step) if settings.boosts_rates else math.inf
        _report_boost(optimizers, expected_steps, meter.progress)
        changed = {name: part for name, part in parts.items() if name not in ("noise", "batches")}
        graphed = GraphedSteps(changed, meter.progress.detail, is_possible=device.type == "cuda")
        started = time.monotonic() - at.seconds

        def step(indices: Tensor, generator: torch.Generator) -> StepResult:
            result = self._forward(indices, fraction, generator)
            loss = result.error
            if settings.is_quantised:
                loss = loss + rate_control.charge(result.error, result.bits)
            for optimizer in optimizers.values():
                optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            clipping.apply()
            for optimizer in optimizers.values():
                optimizer.step()
            return result

        def save(fraction: float) -> None:
            at.fraction, at.seconds = fraction, time.monotonic() - started
            if checkpoints is not None:
                checkpoints.save(parts, vars(at))

        waiting = DeferredSignals() if checkpoints else nullcontext()
        with self._step_settings(), waiting as signals:
            while (fraction := clock.fraction(at.step)) < 1.0:
                set_rates(optimizers.values(), fraction, expected_steps)
                if settings.is_quantised:
                    rate_control.begin_step(fraction)
                if fraction >= PRUNING_AT:
                    self._prune()
                form = (_rounding(fraction, settings), self.representation.is_pruned)
                result = graphed(step, batches.next(), noise, form)
                at.step += 1
                if meter.update(result.squared_error, result.bits, at.step, clock):
                    meter.progress.picture(self._picture)
                is_stopping = signals is not None and signals.is_pending
                if is_stopping or (checkpoints is not None and checkpoints.is_due):
                    save(clock.fraction(at.step))
                if is_stopping and signals is not None:
                    signals.deliver()
            self._prune()
            save(1.0)
        epochs = at.step * settings.batch_frames / len(self.clip)
        return FitResult(at.step, epochs, at.seconds)

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        settings = self.settings
        return make_optimizers(
            self.representation, self.quantiser, settings.learning_rate, settings.optimizer, settings.dtype
        )

    def step_seconds(self) -> float:
        """Measured time of one step, without changing any parameter."""
        muon = self._optimizers().get("muon")
        device = self.clip.device
        indices = torch.arange(self.settings.batch_frames, device=device)
        noise = torch.Generator(device=device).manual_seed(self.settings.seed)
        with self._step_settings():
            for _ in range(2):
                started = time.monotonic()
                result = self._forward(indices, 0.5, noise)
                (result.error + result.bits).backward()  # type: ignore[no-untyped-call]
                if isinstance(muon, Muon):
                    muon.rehearse()
                result.error.item()
                seconds = time.monotonic() - started
        for module in (self.representation.module, self.quantiser):
            module.zero_grad()
        return seconds

    @contextmanager
    def _step_settings(self) -> Iterator[None]:
        """Settings during steps: repeatable convolutions, memory kept on a CPU, and a stream on a GPU."""
        device = self.clip.device
        memory = KEPT_MEMORY if device.type == "cpu" else nullcontext()
        stream = stream_of_steps(device) if device.type == "cuda" else nullcontext()
        with repeatable_convolutions(), memory, stream:
            yield

    def _prune(self) -> None:
        """Prune the current weights unless that was done; a short fit may reach this only at its end."""
        if not self.representation.is_pruned:
            self.representation.prune(
                self._values(torch.zeros(1, dtype=torch.int64, device=self.clip.device))
            )

    def _values(self, indices: Tensor) -> dict[str, Tensor]:
        """Transmitted tensors, per-frame ones for frames `indices` (B,), without gradients."""
        with torch.no_grad(), autocast(self.clip.device, self.settings.dtype):
            return self.representation.transmitted(SourceFrames(self.clip, indices), indices)

    @torch.no_grad()
    def _picture(self) -> Picture:
        """The middle frame of the source, and as decoded from a file of the current values."""
        device, middle = self.clip.device, len(self.clip) // 2
        indices = torch.tensor([middle], device=device)
        rounding = Rounding.STRAIGHT_THROUGH if self.settings.is_quantised else Rounding.NONE
        # A separate generator, so that previews do not change the fit.
        own = torch.Generator(device=device).manual_seed(0)
        quantised = self.quantiser(self._values(indices), rounding, own)
        with autocast(device, self.settings.dtype):
            rendered = self.representation.render(quantised.tensors, indices)
        shown = as_codes(rendered.float(), peak(self.clip))[0]
        return Picture(as_array(self.clip[middle]), as_array(shown))

    def _forward(self, indices: Tensor, fraction: float, noise: torch.Generator) -> StepResult:
        """The loss of frames `indices` (B,) and the bits of the whole segment."""
        source, dtype = SourceFrames(self.clip, indices), self.settings.dtype
        with autocast(self.clip.device, dtype):
            values = self.representation.transmitted(source, indices)
        quantised = self.quantiser(values, _rounding(fraction, self.settings), noise)
        with autocast(self.clip.device, dtype):
            rendered = self.representation.render(quantised.tensors, indices)
        rendered = rendered.float()
        frames = source.current
        scale: Tensor | float = 1.0
        if self.keep is not None:
            rendered, scale = outside_holes(rendered, frames, self.keep[indices])
        error = scale * loss_by_name(self.settings.loss)(rendered, frames)
        with torch.no_grad():
            is_squared = self.settings.loss == "l2"
            squared_error = error.detach() if is_squared else scale * F.mse_loss(rendered, frames)
        return StepResult(error, squared_error, quantised.bits)


@dataclass
class _Position:
    """The progress of a fit, as saved in checkpoints."""

    step: int = 0
    fraction: float = 0.0
    seconds: float = 0.0

    def resume(
        self, checkpoints: Checkpoints, parts: Mapping[str, Stateful], clock: Clock, device: torch.device
    ) -> None:
        """Restore `parts`, `clock` and the position from the last checkpoint, if there is one."""
        saved = checkpoints.load(parts, device)
        if saved is not None:
            self.step, self.fraction, self.seconds = saved["step"], saved["fraction"], saved["seconds"]
            clock.continue_from(self.fraction)


def _report_boost(
    optimizers: Mapping[str, torch.optim.Optimizer], expected_steps: float, progress: Progress
) -> None:
    """Report Muon's learning rate if it is raised above the usual one."""
    for group in optimizers["muon"].param_groups if "muon" in optimizers else ():
        rate = boosted_rate(group, expected_steps)
        if rate > group["usual_lr"]:
            progress.detail(f"{expected_steps:.0f} steps: the learning rate of convolutions is {rate:.3g}")


def _rounding(fraction: float, settings: FitSettings) -> Rounding:
    if not settings.is_quantised:
        return Rounding.NONE
    return Rounding.STRAIGHT_THROUGH if fraction >= ROUNDING_FROM else Rounding.NOISE
