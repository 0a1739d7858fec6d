"""Video of 10 bits: what is read and written again keeps its levels, tags and light levels."""

from __future__ import annotations

import io
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from video_samples import Notes

from benchmarks.inputs.colours import LUMA_WEIGHTS, exact_rgb
from bitstream import ContentLight, MasteringDisplay
from inrcodec.errors import UsageError
from inrcodec.quality.evaluation import evaluate
from inrcodec.samples import at_depth, peak_of
from inrcodec.settings.source import Crop, Size, SourceSettings
from inrcodec.video import VideoProperties, open_writer, read_clip
from inrcodec.video.arrays import write_lossless
from inrcodec.video.conversion import rgb_pixels
from inrcodec.video.geometry import box_average, scale
from inrcodec.video.light import Light
from inrcodec.video.pixel_planes import converted, frame_of, plane_samples
from inrcodec.video.planes import Sampling, yuv_planes

ALL = SourceSettings()
BLOCKS = {"yuv420p10le": (2, 2), "yuv422p10le": (1, 2), "yuv444p10le": (1, 1)}
"""Rows and columns of the block of pixels that shares a chroma sample."""
DISPLAY = MasteringDisplay(34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 10_000_000, 50)
LIGHT = ContentLight(1000, 400)
MASTERING = (
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
)
PQ, BT2020, LIMITED = 16, 9, 1
Planes = list[NDArray[Any]]


def colourful(seed: int, pixel_format: str, matrix: int, full_range: bool, height: int, width: int) -> Planes:
    """Planes of 10 bits of a picture inside the RGB cube: noise in luma, and a colour for each block."""
    random, (rows, columns) = np.random.default_rng(seed), BLOCKS[pixel_format]
    blocks = random.uniform(160, 860, (-(-height // rows), -(-width // columns), 3))
    rgb = blocks.repeat(rows, 0)[:height].repeat(columns, 1)[:, :width]
    rgb += random.uniform(-140, 140, (height, width, 1))
    red, blue = LUMA_WEIGHTS[matrix]
    luma = rgb @ np.array([red, 1 - red - blue, blue])
    chroma = ((rgb[..., 2] - luma) / (2 - 2 * blue), (rgb[..., 0] - luma) / (2 - 2 * red))
    low, luma_gain, chroma_gain = (0, 1.0, 1.0) if full_range else (64, 876 / 1023, 896 / 1023)
    planes = [low + luma_gain * luma, *(512 + chroma_gain * one[::rows, ::columns] for one in chroma)]
    return [np.rint(plane).astype(np.uint16) for plane in planes]


def ramp(width: int = 256, height: int = 64) -> Planes:
    """Luma that rises through all levels of limited range, without colour."""
    luma = np.rint(np.linspace(64, 940, width))[None].repeat(height, 0)
    return [luma.astype(np.uint16), *(np.full((height // 2, width // 2), 512, np.uint16) for _ in range(2))]


def write_planes(
    path: Path,
    planes: Planes,
    pixel_format: str = "yuv420p10le",
    matrix: int = BT2020,
    color_range: int = LIMITED,
    codec: str = "ffv1",
    options: dict[str, str] | None = None,
    count: int = 2,
) -> str:
    """Equal frames of these samples as `path`, in PQ."""
    tags = {"colorspace": matrix, "color_range": color_range, "color_trc": PQ, "color_primaries": BT2020}
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(25), options=options or {})
        stream.height, stream.width = planes[0].shape
        stream.pix_fmt = pixel_format
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for time in range(count):
            frame = frame_of(planes, pixel_format)
            for name, value in tags.items():
                setattr(frame, name, value)
            frame.pts = time
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


def hdr10(path: Path) -> str:
    """A video with everything that HDR10 says of itself."""
    options = {"x265-params": f"log-level=none:{MASTERING}", "crf": "0", "preset": "ultrafast"}
    return write_planes(path, ramp(), codec="libx265", options=options)


def first_frame(path: str) -> Any:
    with av.open(path) as container:
        return next(container.decode(video=0))


def light_of(path: str) -> Light:
    found = Light()
    found.add(iter(first_frame(path).side_data))
    return found


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1 << 16),
    pixel_format=st.sampled_from(sorted(BLOCKS)),
    matrix=st.sampled_from((1, 2, 4, 5, 6, 7, 9)),
    full_range=st.booleans(),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
)
def test_reading_and_writing_are_inverses(
    seed: int, pixel_format: str, matrix: int, full_range: bool, height: int, width: int
) -> None:
    planes = colourful(seed, pixel_format, matrix, full_range, height, width)
    frame = frame_of(planes, pixel_format)
    frame.colorspace, frame.color_range = matrix, 2 if full_range else 1
    pixels = rgb_pixels(frame, 10)
    if not full_range:
        assert np.abs(pixels - exact_rgb(frame) * 1023 / 255).max() <= 0.51
    found = yuv_planes(pixels, Sampling(BLOCKS[pixel_format], matrix, full_range, 10))
    for one, other in zip(found, planes, strict=True):
        # In full range levels of RGB are as far apart as those of YUV, and roundings add up.
        assert np.abs(one.astype(int) - other).max() <= (1 if full_range else 0)


@pytest.mark.parametrize(
    "layout", ["p010le", "yuv420p10be", "p210le", "y210le", "xv30le", "v30xle", "yuva420p10le", "yuv440p10le"]
)
def test_every_layout_of_10_bits_has_the_same_samples(layout: str) -> None:
    same = "yuv420p10le"
    if layout.startswith(("p210", "y210")):
        same = "yuv422p10le"
    elif "30" in layout:
        same = "yuv444p10le"
    planes = colourful(3, same, 9, False, 16, 32)
    if layout == "yuv440p10le":
        planes = [planes[0], *(plane.repeat(2, 1) for plane in planes[1:])]
        frame = frame_of(planes, layout)
    else:
        frame = frame_of(planes, same)
    frame.colorspace, frame.color_range = 9, 1
    expected = rgb_pixels(frame, 10)
    other = converted(frame, layout)
    other.colorspace, other.color_range = 9, 1
    assert np.array_equal(rgb_pixels(other, 10), expected)


@pytest.mark.parametrize(("layout", "bits"), [("gbrp10le", 10), ("gbrp12le", 12), ("gbrap10le", 10)])
def test_deep_rgb_has_the_same_levels(layout: str, bits: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 1024, (16, 32, 3)).astype(np.uint16)
    deeper = np.rint(pixels.astype(float) * ((1 << bits) - 1) / 1023).astype(np.uint16)
    planes = [deeper[..., colour] for colour in (1, 2, 0)]
    planes += [np.full_like(planes[0], 1023)] if layout.startswith("gbrap") else []
    frame = frame_of(planes, layout)
    assert np.array_equal(rgb_pixels(frame, 10), pixels)
    for packed in ("rgb48be", "x2rgb10le") if layout == "gbrp10le" else ():
        assert np.array_equal(rgb_pixels(converted(frame, packed), 10), pixels)


@pytest.mark.parametrize("is_full", [False, True])
def test_deep_grey_keeps_its_levels(tmp_path: Path, is_full: bool) -> None:
    levels = np.rint(np.linspace(0 if is_full else 64, 1023 if is_full else 940, 300))[None].repeat(16, 0)
    source = write_planes(
        tmp_path / "a.mkv", [levels.astype(np.uint16)], "gray10le", 2, 2 if is_full else LIMITED
    )
    clip = read_clip(source, ALL)
    assert clip.frames.min() == 0 and clip.frames.max() == 1023
    assert len(np.unique(clip.frames)) == 300
    evaluated = evaluate(source, source, measures=["yuv"]).values
    assert (evaluated["psnr_y"] == 100).all()


@pytest.mark.parametrize(
    ("target", "codec", "pixel_format"),
    [
        ("b.mp4", None, "yuv420p10le"),
        ("b.mkv", "h264", "yuv420p10le"),
        ("b.webm", None, "yuv420p10le"),
        ("b.mkv", "ffv1", "gbrp10le"),
        ("b.y4m", None, "yuv444p10le"),
    ],
)
def test_a_decoded_video_has_the_levels_and_tags_of_its_source(
    tmp_path: Path, notes: Notes, target: str, codec: str | None, pixel_format: str
) -> None:
    source = hdr10(tmp_path / "a.mkv")
    clip = read_clip(source, ALL, notes)
    assert notes.lines == []
    assert (clip.properties.mastering_display, clip.properties.content_light) == (DISPLAY, LIGHT)
    path = str(tmp_path / target)
    crf = None if codec == "ffv1" or target.endswith("y4m") else 0
    with open_writer(path, clip.properties, codec, crf, progress=notes) as writer:
        for frame in clip.frames:
            writer.write(frame)
    found = first_frame(path)
    assert found.format.name == pixel_format
    if codec == "ffv1" or target.endswith(".y4m"):
        assert len(notes.lines) == 1 and "the mastering display and light levels are lost" in notes.lines[0]
    else:
        tags = found.colorspace, found.color_primaries, found.color_trc, found.color_range
        assert tags == (BT2020, BT2020, PQ, LIMITED)
        assert notes.lines == []
        light = light_of(path)
        assert (light.mastering_display, light.content_light) == (DISPLAY, LIGHT)
        assert evaluate(source, path, measures=["yuv"]).values["psnr_y"].min() > 55
    if target.endswith(".y4m"):
        luma, stored = (plane_samples(one.planes[0], np.uint16) for one in (found, first_frame(source)))
        assert np.array_equal(luma, stored)


@pytest.mark.parametrize("size", [(48, 32), (65, 33), (1, 1), (2000, 16)])
@pytest.mark.parametrize("target", ["a.mp4", "a.mkv", "a.webm", "a.png", "%03d.png", "-"])
def test_frames_of_any_size_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], target: str
) -> None:
    pixels = np.full((size[1], size[0], 3), 700, np.uint16)
    properties = VideoProperties(*size, 1, Fraction(25), Fraction(1, 25), bit_depth=10)
    output = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", output)
    path = target if target == "-" else str(tmp_path / target)
    with open_writer(path, properties) as writer:
        writer.write(pixels)
    if target == "-":
        (tmp_path / "a.y4m").write_bytes(output.buffer.getvalue())  # type: ignore[attr-defined]
        path = str(tmp_path / "a.y4m")
    found = read_clip(path, ALL)
    shown = at_depth(found.frames[0], 10)
    assert np.abs(shown.astype(int) - pixels).max() <= 8
    if not target.endswith("webm"):
        assert found.properties.bit_depth == 10
    if target.endswith("png"):
        assert np.array_equal(shown, pixels)


@pytest.mark.parametrize("bit_depth", [8, 10])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_hevc_writes_the_times_of_few_frames(tmp_path: Path, count: int, bit_depth: int) -> None:
    """For one or two frames, x265 leaves decoding times undefined if it may reorder them."""
    properties = VideoProperties(640, 64, count, Fraction(25), Fraction(1, 25), bit_depth=bit_depth)
    path = str(tmp_path / "a.mp4")
    with open_writer(path, properties, "hevc") as writer:
        for _ in range(count):
            writer.write(at_depth(np.full((64, 640, 3), 100, np.uint8), bit_depth))
    with av.open(path) as container:
        stream = container.streams.video[0]
        times = [(packet.pts, packet.dts) for packet in container.demux(stream) if packet.size]
    assert all(
        dts is not None and pts is not None and -1 < dts * stream.time_base and dts <= pts
        for pts, dts in times
    )
    assert len(read_clip(path, ALL).frames) == count


def test_an_encoder_of_8_bits_is_said(tmp_path: Path, notes: Notes) -> None:
    clip = read_clip(hdr10(tmp_path / "a.mkv"), ALL)
    with open_writer(str(tmp_path / "b.mkv"), clip.properties, "vp9", progress=notes) as writer:
        writer.write(clip.frames[0])
    assert "frames of 10 bits are written with 8: libvpx-vp9 takes no more" in notes.lines[0]
    assert first_frame(str(tmp_path / "b.mkv")).format.name == "yuv420p"


def test_eval_measures_samples_of_10_bits(tmp_path: Path) -> None:
    planes = ramp()
    source = write_planes(tmp_path / "a.mkv", planes)
    worse = [planes[0] - 3, planes[1] + 5, planes[2]]
    other = write_planes(tmp_path / "b.mkv", worse)
    found = evaluate(source, other, measures=["yuv"]).values
    assert found["psnr_y"] == pytest.approx(20 * np.log10(1023 / 3))
    assert found["psnr_u"] == pytest.approx(20 * np.log10(1023 / 5))
    assert (found["psnr_v"] == 100).all()


def test_eval_compares_videos_of_different_depth(tmp_path: Path) -> None:
    """Both are compared at the depth of the reference, and 8 bits lose what they round."""
    deep, source = ramp(), write_planes(tmp_path / "a.mkv", ramp())
    rounded = [np.rint(plane / 4).astype(np.uint8) for plane in deep]
    shallow = write_planes(tmp_path / "b.mkv", rounded, "yuv420p")
    found = evaluate(source, shallow).values
    assert 52 < found["psnr"].mean() < 62
    assert evaluate(shallow, source).values["psnr"].mean() > 48


def test_deep_frames_are_cropped_and_scaled(tmp_path: Path) -> None:
    source = write_planes(tmp_path / "a.mkv", ramp())
    whole = read_clip(source, ALL).frames[0]
    crop = read_clip(source, SourceSettings(crop=Crop(40, 20, 7, 3))).frames[0]
    assert np.array_equal(crop, whole[3:23, 7:47])
    half = read_clip(source, SourceSettings(scale=Size(128, 32))).frames[0]
    assert np.array_equal(half, box_average(whole, Size(128, 32)))
    smaller = scale(whole, Size(100, 50))
    expected = np.interp((np.arange(100) + 0.5) * 2.56 - 0.5, np.arange(256), whole[0, :, 0])
    assert np.abs(smaller[:, 1:-1].astype(int) - expected[None, 1:-1, None]).max() <= 2


def test_a_deeper_frame_amid_others_is_reduced(tmp_path: Path, notes: Notes) -> None:
    """Images of a folder may differ: the first one decides."""
    pixels = np.full((16, 24, 3), 1023, np.uint16)
    for number, depth in enumerate((8, 10)):
        properties = VideoProperties(24, 16, 1, Fraction(25), Fraction(1, 25), bit_depth=depth)
        with open_writer(str(tmp_path / f"{number}.png"), properties) as writer:
            writer.write(at_depth(pixels, depth))
    clip = read_clip(str(tmp_path), ALL, notes)
    assert clip.frames.dtype == np.uint8 and clip.frames.min() == 255
    assert notes.lines[-1] == "samples of 16 bits are coded with 8"


@given(value=st.integers(0, 1023))
def test_depths_are_converted_to_the_nearest_level(value: int) -> None:
    deep = np.full((1, 1, 3), value, np.uint16)
    shallow = at_depth(deep, 8)
    assert shallow.dtype == np.uint8 and abs(int(shallow[0, 0, 0]) * 1023 / 255 - value) <= 1023 / 255 / 2
    again = at_depth(at_depth(shallow, 10), 8)
    assert np.array_equal(again, shallow) and peak_of(again) == 255


def test_arrays_of_10_bits_are_written_without_loss(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 1024, (2, 12, 10, 3)).astype(np.uint16)
    assert write_lossless(frames, tmp_path / "a.mkv", 25) == 2
    assert np.array_equal(read_clip(str(tmp_path / "a.mkv"), ALL).frames, frames)
    with pytest.raises(UsageError, match="0 to 1023, found 1024"):
        write_lossless([np.full((4, 4, 3), 1024, np.uint16)], tmp_path / "b.mkv", 25)
    with pytest.raises(UsageError, match="expected uint8.*or uint16 for 10 bits, found float32"):
        write_lossless([np.zeros((4, 4, 3), np.float32)], tmp_path / "c.mkv", 25)  # type: ignore[list-item]
    with pytest.raises(UsageError, match="frame 1 is uint8"):
        write_lossless([frames[0], frames[0].astype(np.uint8)], tmp_path / "d.mkv", 25)
    for kind in (np.uint8, np.uint16):
        with pytest.raises(UsageError, match=r"found uint\d+ \(0, 5, 3\)"):
            write_lossless([np.zeros((0, 5, 3), kind)], tmp_path / "e.mkv", 25)
