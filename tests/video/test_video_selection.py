"""Selections by time and by relative size are those of the frames that they mean."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from codec_samples import moving_gradient, write_clip

from bitstream import SourcePart
from inrcodec.errors import UsageError
from inrcodec.settings.source import Crop, FrameRange, Size, SourceSettings, TimeRange
from inrcodec.video import read_clip
from inrcodec.video.properties import header_of
from inrcodec.video.selection import part_of, selection_of, settled
from inrcodec.video.timestamps import frames_beginning_in


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of ten frames of 48x32 at 10 fps."""
    path = tmp_path_factory.mktemp("clip") / "in.mp4"
    write_clip(path, moving_gradient(48, 32, 10), rate=Fraction(10))
    return str(path)


@pytest.mark.parametrize(
    ("start", "stop", "frames"),
    [
        (0, None, FrameRange(0)),
        (Fraction("0.3"), Fraction("0.6"), FrameRange(3, 6)),
        (Fraction("0.31"), Fraction("0.61"), FrameRange(4, 7)),
        (0.7, None, FrameRange(7)),
        (0, 100, FrameRange(0)),
    ],
)
def test_frames_that_begin_in_a_range_of_times(
    clip: str, start: float, stop: float | None, frames: FrameRange
) -> None:
    times = TimeRange(start, stop)
    assert settled(clip, SourceSettings(times=times)) == SourceSettings(frames)
    whole = read_clip(clip, SourceSettings())
    selected = range(10)[frames.start : frames.stop]
    assert frames_beginning_in(whole.properties, start, stop) == selected
    part = read_clip(clip, SourceSettings(times=times)).frames
    assert np.array_equal(part, whole.frames[selected.start : selected.stop])


@pytest.mark.parametrize("times", [TimeRange(2), TimeRange(Fraction("0.31"), Fraction("0.39"))])
def test_no_frame_begins_there(clip: str, times: TimeRange) -> None:
    with pytest.raises(UsageError, match="no frame begins in"):
        settled(clip, SourceSettings(times=times))
    with pytest.raises(UsageError, match="no frame begins in"):
        frames_beginning_in(read_clip(clip, SourceSettings()).properties, times.start, times.stop)


@pytest.mark.parametrize(
    ("source", "size"),
    [
        (SourceSettings(scale=Size(-1, 16)), Size(24, 16)),
        (SourceSettings(scale=Size(20, -1)), Size(20, 13)),
        (SourceSettings(scale=Size(20, -2)), Size(20, 14)),
        (SourceSettings(scale_share=Fraction(1, 2)), Size(24, 16)),
        (SourceSettings(scale_share=0.001), Size(1, 1)),
        (SourceSettings(crop=Size(32, 32), scale=Size(-1, 8)), Size(8, 8)),
        (SourceSettings(crop=Crop(16, 32, 1, 0), scale_share=2), Size(32, 64)),
    ],
)
def test_sizes_that_follow_from_the_frames(clip: str, source: SourceSettings, size: Size) -> None:
    assert settled(clip, source).scale == size
    assert read_clip(clip, source).frames.shape[1:3] == (size.height, size.width)


def test_a_rectangle_lies_where_it_says(clip: str) -> None:
    whole = read_clip(clip, SourceSettings()).frames
    part = read_clip(clip, SourceSettings(crop=Crop(20, 10, 28, 5))).frames
    assert np.array_equal(part, whole[:, 5:15, 28:48])
    with pytest.raises(UsageError, match=r"20x10\+29\+5 reaches beyond the frames \(48x32\)"):
        read_clip(clip, SourceSettings(crop=Crop(20, 10, 29, 5)))


@pytest.mark.parametrize(
    "source",
    [
        SourceSettings(FrameRange(2, 9), every=3, stream=0, bit_depth=8),
        SourceSettings(FrameRange(0, 4), crop=Size(30, 20), scale=Size(15, 10)),
        SourceSettings(FrameRange(1, 10), crop=Crop(30, 20, 0, 0)),
    ],
)
def test_a_file_says_which_part_it_holds(clip: str, source: SourceSettings) -> None:
    part = read_clip(clip, source)
    properties = part.properties
    header = header_of(properties, (properties.width, properties.height))
    assert selection_of(header) == SourceSettings()
    said = selection_of(type(header)(**{**vars(header), "part": part_of(source)}))
    assert np.array_equal(read_clip(clip, said).frames, part.frames)


def test_a_whole_source_is_not_a_part() -> None:
    assert part_of(SourceSettings()) is None
    assert part_of(SourceSettings(FrameRange(0, 3))) == SourcePart()


def test_selections_that_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="by number or by time"):
        SourceSettings(FrameRange(1, 2), times=TimeRange(0, 1))
    with pytest.raises(UsageError, match="to a size or by a factor"):
        SourceSettings(scale=Size(1, 1), scale_share=2)
    with pytest.raises(UsageError, match="1s:1s is empty"):
        TimeRange(1, 1)
