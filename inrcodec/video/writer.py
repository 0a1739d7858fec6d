"""Writing decoded frames to video files, images or y4m through one interface, whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Protocol

from bitstream import Extras
from inrcodec.errors import UsageError
from inrcodec.progress import Progress, Silent
from inrcodec.samples import Samples
from inrcodec.system.files import atomic_output, check_output_file
from inrcodec.video.containers import (
    FORMATS,
    AnyExtras,
    ContainerWriter,
    lost_last_duration,
)
from inrcodec.video.encoders import check_codec, loses_aspect_ratio
from inrcodec.video.images import OneImageWriter, check_output_images, write_images
from inrcodec.video.light import LIGHT, has_light
from inrcodec.video.properties import VideoProperties
from inrcodec.video.sources import number_field
from inrcodec.video.y4m import Y4MWriter

STDOUT = "-"


class FrameWriter(Protocol):
    """Takes the frames of a video in display order."""

    def write(self, frame: Samples) -> None:
        """Append one RGB frame (height, width, 3). Raises `OutputError`."""


class TargetKind(Enum):
    """Kind of output that a target's name stands for."""

    CONTAINER = "container"
    IMAGE = "image"
    IMAGES = "images"
    Y4M = "y4m"
    STDOUT = "stdout"


def target_kind(target: str) -> TargetKind:
    """The kind of output `target` names; raises `UsageError` for a file type that cannot be written."""
    if target == STDOUT:
        return TargetKind.STDOUT
    path = Path(target)
    if target.endswith("/") or path.is_dir() or not path.suffix:
        return TargetKind.IMAGES
    suffix = path.suffix.lower()
    if number_field(path.name):
        if suffix != ".png":
            raise UsageError(f"{target}: images are written as .png, not {suffix}")
        return TargetKind.IMAGES
    if suffix == ".png":
        return TargetKind.IMAGE
    if suffix == ".y4m":
        return TargetKind.Y4M
    if suffix in FORMATS:
        return TargetKind.CONTAINER
    known = " ".join(FORMATS)
    raise UsageError(
        f"{target}: cannot write {suffix} files; give {known} .y4m .png, a folder, a %05d.png pattern or -"
    )


def check_target(
    target: str, codec: str | None = None, crf: int | None = None, overwrite: bool = False
) -> None:
    """Raise the `UsageError` that `open_writer` would raise, before any work is done."""
    kind = target_kind(target)
    if kind is TargetKind.CONTAINER:
        check_codec(Path(target).suffix.lower(), codec, crf)
    elif codec is not None or crf is not None:
        raise UsageError(f"--codec and --crf are for video files ({' '.join(FORMATS)}), not for {target}")
    if kind is TargetKind.IMAGES:
        check_output_images(target, overwrite)
    elif kind is not TargetKind.STDOUT:
        check_output_file(target, overwrite)


def holds_extras(target: str) -> bool:
    """Whether `target` can hold audio, subtitles, chapters and tags; raises as `target_kind` does."""
    return target_kind(target) is TargetKind.CONTAINER


def note_dropped_tracks(target: str, progress: Progress) -> None:
    """Note that y4m and images hold no audio or subtitles; for one picture nobody expects them."""
    if target_kind(target) not in (TargetKind.CONTAINER, TargetKind.IMAGE):
        name = "standard output" if target == STDOUT else target
        progress.note(f"audio and subtitles are dropped: {name} holds pictures only")


def check_one_picture(target: str, count: int) -> None:
    """Raise `UsageError` if `target` is one .png and `count` is not 1."""
    if target_kind(target) is TargetKind.IMAGE and count != 1:
        raise UsageError(f"{target} holds one picture, not {count}: give --at, or a name such as %05d.png")


@contextmanager
def open_writer(
    target: str,
    properties: VideoProperties,
    codec: str | None = None,
    crf: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    first_number: int = 0,
    extras: AnyExtras | None = None,
) -> Iterator[FrameWriter]:
    """A writer of RGB frames to `target`: .mp4 .mkv .mov .webm .y4m .png, a folder, `%05d.png`, or `-`.

    The output appears, complete, when the block ends without an exception; after an exception neither it nor
    its temporary file is left. `-` is y4m on standard output, and a .png takes one frame.
    `properties.frame_count` only tells which frame lasts for `last_duration`. Images are numbered from
    `first_number`, and `overwrite` replaces no image with another number. `extras` are copied into video
    files; a function that returns them is called after the last frame. Anything the target cannot carry is
    reported to `progress`.

    Raises `UsageError` for an impossible target, `OutputError` when the encoder or the file system refuses,
    and `BrokenPipeError` when the reader of a pipe goes away.
    """
    check_target(target, codec, crf, overwrite)
    kind = target_kind(target)
    progress, extras = progress or Silent(), extras or Extras()
    if kind is TargetKind.CONTAINER:
        if loses_aspect_ratio(Path(target).suffix.lower(), codec, properties):
            progress.note(
                f"the sample aspect ratio {properties.sample_aspect_ratio} is lost: {target} cannot store it "
                "with this codec; h264 and hevc in .mp4, .mov or .mkv keep it"
            )
        with atomic_output(target, overwrite) as file:
            container = ContainerWriter(file, target, properties, codec, crf, extras, progress)
            with container:
                yield container
        return
    with _pictures(target, kind, properties, overwrite, first_number) as pictures:
        if not callable(extras):
            _note_what_is_dropped(target, kind, properties, extras, progress)
        yield pictures
        if callable(extras):
            _note_what_is_dropped(target, kind, properties, extras(), progress)


@contextmanager
def _pictures(
    target: str, kind: TargetKind, properties: VideoProperties, overwrite: bool, first_number: int
) -> Iterator[FrameWriter]:
    """A writer to a target that holds only pictures."""
    if kind is TargetKind.STDOUT:
        writer = Y4MWriter(sys.stdout.buffer, properties)
        yield writer
        writer.finish()
    elif kind is TargetKind.IMAGES:
        with write_images(target, properties, overwrite, first_number) as images:
            yield images
    else:
        with atomic_output(target, overwrite) as file:
            if kind is TargetKind.IMAGE:
                yield OneImageWriter(file, target, properties)
            else:
                yield Y4MWriter(file, properties)


def _note_what_is_dropped(
    target: str, kind: TargetKind, properties: VideoProperties, extras: Extras, progress: Progress
) -> None:
    """Note what y4m and images cannot hold; for one picture nobody expects it."""
    if extras.tracks:
        note_dropped_tracks(target, progress)
    if kind is TargetKind.IMAGE:
        return
    name = "standard output" if target == STDOUT else target
    if properties.timestamps is not None:
        rate = float(properties.frame_rate)
        progress.note(f"timestamps are irregular; {name} gets a constant {rate:.6g} fps")
    elif properties.last_duration is not None:
        progress.note(lost_last_duration(name))
    if has_light(properties):
        progress.note(f"{LIGHT} are lost: {name} cannot store them")
