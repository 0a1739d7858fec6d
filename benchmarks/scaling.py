"""Costs of the parts of a long 1080p encode on this machine, which docs/scaling.md calculates with.

    python -m benchmarks.scaling [--json FILE]

Bunny, scaled to 1920x1080, represents such a video. A segment of `auto` length is planned at the default
rate; reading, shipping, writing and a few steps of its fit are timed. All times are CPU seconds of one
process with OMP_NUM_THREADS=1, which a busy machine disturbs less than wall-clock time. No GPU is measured:
its speed is a parameter of `hours`.
"""

from __future__ import annotations

import argparse
import io
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing import reduction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.record import BUNNY, write_report
from bitstream import Quality, Section, Segment, StreamWriter
from inrcodec.encoder.segment import code_segment
from inrcodec.fit.job import FitJob
from inrcodec.plan.cuts import LARGEST_SEGMENT_BYTES
from inrcodec.plan.network import SegmentPlan, plan_segment
from inrcodec.progress import FitReport, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.source import FrameRange, Size, SourceSettings
from inrcodec.system.device import choose_device
from inrcodec.video import Clip, FrameReading, VideoProperties, open_writer, read_clip, survey_video
from inrcodec.video.properties import header_of

SIZE = Size(1920, 1080)
HOUR_FRAMES = 25 * 3600
TIMED_STEPS = 6
SPEED_UPS = (100, 300, 1000)
"""Assumed speed of a GPU relative to the measured core."""
GPUS = (1, 10, 100)


class _Enough(Exception):
    """Raised to end a fit when enough steps were timed."""


class _Stopwatch(Silent):
    """Records the CPU time at the first steps of a fit."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def fit(self, report: FitReport) -> None:
        self.marks.append(time.process_time())
        if len(self.marks) > TIMED_STEPS:
            raise _Enough

    @property
    def step_seconds(self) -> float:
        return float(np.median(np.diff(self.marks)))


def cpu_seconds(work: Callable[[], Any]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def segment_costs(clip: Clip, settings: EncodeSettings) -> tuple[SegmentPlan, _Stopwatch]:
    """The plan of a segment and the times of its fit.

    Relies on steps that take half a second or more: then every step is followed by a report.
    """
    plan, watch = plan_segment(clip.properties, settings), _Stopwatch()
    try:
        code_segment(FitJob(plan, clip, settings, choose_device("cpu"), progress=watch))
    except _Enough:
        return plan, watch
    raise RuntimeError("the fit ended before enough steps were timed")


def write_seconds(plan: SegmentPlan, properties: VideoProperties, count: int) -> float:
    """CPU seconds to write a file of `count` segments of the planned size to memory."""
    frames, payload = plan.video.frame_count, bytes(plan.target_bytes)
    header = header_of(replace(properties, frame_count=count * frames), (SIZE.width, SIZE.height))

    def write() -> None:
        writer = StreamWriter(io.BytesIO(), header)
        for number in range(count):
            section = Section(0, (), payload)
            writer.append(Segment(number * frames, frames, plan.family.wire_id, 0, b"", (section,)))
        writer.finish(Quality(0.0), {})

    return cpu_seconds(write)


def shipping_seconds(clip: Clip) -> float:
    """CPU seconds to pickle and unpickle a segment's frames, as pipes and Ray do."""

    def ship() -> None:
        reduction.ForkingPickler.loads(reduction.ForkingPickler.dumps(clip))

    return cpu_seconds(ship)


def hours(costs: Mapping[str, float], gpus: int, speed_up: float, epochs: int) -> float:
    """Wall-clock hours per hour of video on `gpus`, each `speed_up` times as fast as the measured core.

    The survey runs first, alone. Then the driver reads and ships segments while waves of fits run; the longer
    of the two counts. The file is written last.
    """
    frames, segments = costs["segment_frames"], costs["segments_an_hour"]
    survey = HOUR_FRAMES * costs["survey_cpu_seconds_a_frame"]
    waves = math.ceil(segments / gpus)
    fits = waves * epochs * frames * costs["step_cpu_seconds"] / speed_up
    seconds = survey + max(fits, segments * feeding_seconds(costs)) + costs["writing_cpu_seconds_an_hour"]
    return seconds / 3600


def feeding_seconds(costs: Mapping[str, float]) -> float:
    """CPU seconds that the driver needs to read and ship one segment."""
    reading = costs["segment_frames"] * costs["reading_cpu_seconds_a_frame"]
    return reading + costs["shipping_cpu_seconds_a_segment"]


def busy_gpus(costs: Mapping[str, float], speed_up: float, epochs: int) -> int:
    """Number of GPUs that one driver keeps busy: segments it can read and ship while one is fitted."""
    fit = epochs * costs["segment_frames"] * costs["step_cpu_seconds"] / speed_up
    return int(fit / feeding_seconds(costs))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    length = LARGEST_SEGMENT_BYTES // (SIZE.width * SIZE.height * 3)
    settings = EncodeSettings(model="hnerv", device="cpu")
    whole = SourceSettings(FrameRange(0, length), scale=SIZE)
    clip = read_clip(BUNNY, whole)
    with TemporaryDirectory() as folder:
        path = f"{folder}/1080p.mp4"
        with open_writer(path, clip.properties) as writer:
            for frame in clip.frames:
                writer.write(frame)
        survey = cpu_seconds(lambda: survey_video(path, SourceSettings(), 0, Silent()))
        reading = cpu_seconds(lambda: list(FrameReading(path, SourceSettings())))
    plan, watch = segment_costs(clip, settings)
    hour = math.ceil(HOUR_FRAMES / length)
    result = {
        "width": SIZE.width,
        "height": SIZE.height,
        "segment_frames": length,
        "segments_an_hour": hour,
        "segment_frame_bytes": clip.frames.nbytes,
        "segment_target_bytes": plan.target_bytes,
        "segment_overhead_bytes": plan.overhead_bytes,
        "parameters": plan.parameter_count,
        "step_cpu_seconds": watch.step_seconds,
        "survey_cpu_seconds_a_frame": survey / length,
        "reading_cpu_seconds_a_frame": reading / length,
        "shipping_cpu_seconds_a_segment": shipping_seconds(clip),
        "writing_cpu_seconds_an_hour": write_seconds(plan, clip.properties, hour // 10) * 10,
    }
    for name, value in result.items():
        print(f"{name:32} {value:,.6g}" if isinstance(value, float) else f"{name:32} {value:,}")
    epochs = settings.procedure.epochs
    for speed_up in SPEED_UPS:
        row = [f"{hours(result, gpus, speed_up, epochs):.3g}" for gpus in GPUS]
        print(f"| {speed_up} | {' | '.join(row)} | {busy_gpus(result, speed_up, epochs)} |")
    if options.json:
        write_report(options.json, "benchmarks.scaling", [result], threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
