"""Colours: what is read and written again is unchanged, in every range, matrix, subsampling and size."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av import VideoFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from video_samples import gradient

from benchmarks.inputs.colours import LUMA_WEIGHTS, exact_rgb
from bitstream.header import ColorTags
from inrcodec.quality.evaluation import evaluate
from inrcodec.settings.source import Size, SourceSettings
from inrcodec.video import VideoProperties, open_writer, read_clip
from inrcodec.video.color import UNSPECIFIED
from inrcodec.video.conversion import rgb_pixels
from inrcodec.video.cropping import NO_CROPPING, Cropping
from inrcodec.video.geometry import Turn, cropped, unturned
from inrcodec.video.pixel_planes import converted, frame_of, plane_samples
from inrcodec.video.planes import Sampling, picture_of, yuv_planes

Planes = list[NDArray[np.uint8]]
ALL = SourceSettings()
BLOCKS = {"yuv420p": (2, 2), "yuv422p": (1, 2), "yuv444p": (1, 1)}
"""Rows and columns of the block of pixels that shares a chroma sample."""
QUICK = settings(max_examples=60, deadline=None)


def colourful(seed: int, pixel_format: str, matrix: int, full_range: bool, height: int, width: int) -> Planes:
    """Planes of a picture inside the RGB cube, with noise in luma and a colour for each block."""
    random, (rows, columns) = np.random.default_rng(seed), BLOCKS[pixel_format]
    blocks = random.uniform(40, 215, (-(-height // rows), -(-width // columns), 3))
    rgb = blocks.repeat(rows, 0)[:height].repeat(columns, 1)[:, :width]
    rgb += random.uniform(-35, 35, (height, width, 1))
    red, blue = LUMA_WEIGHTS[matrix]
    luma = rgb @ np.array([red, 1 - red - blue, blue])
    chroma = ((rgb[..., 2] - luma) / (2 - 2 * blue), (rgb[..., 0] - luma) / (2 - 2 * red))
    low, luma_gain, chroma_gain = (0, 1.0, 1.0) if full_range else (16, 219 / 255, 224 / 255)
    planes = [low + luma_gain * luma, *(128 + chroma_gain * one[::rows, ::columns] for one in chroma)]
    return [np.rint(plane).astype(np.uint8) for plane in planes]


def write_planes(
    path: Path, planes: Planes, pixel_format: str, matrix: int = UNSPECIFIED, color_range: int = 0
) -> str:
    """Two equal frames of these samples, losslessly, as `path`."""
    with av.open(str(path), "w") as container:
        lossless = {"options": {"qp": "0"}} if path.suffix == ".mp4" else {}
        codec = "libx264" if path.suffix == ".mp4" else "ffv1"
        stream: Any = container.add_stream(codec, rate=Fraction(25), **lossless)
        stream.height, stream.width = planes[0].shape
        stream.pix_fmt = pixel_format
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, color_range
        for time in range(2):
            frame = frame_of(planes, pixel_format)
            frame.colorspace, frame.color_range, frame.pts = matrix, color_range, time
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


def planes_in(path: str) -> tuple[Planes, Any]:
    """Planes of the first frame of a file as PyAV decodes them, and the frame."""
    with av.open(path) as container:
        frame = next(container.decode(video=0))
        return [plane_samples(plane, np.uint8).copy() for plane in frame.planes], frame


def assert_same(found: Planes, expected: Planes) -> None:
    """Frames of 8-bit RGB lie between, so single samples may differ by the rounding of one level."""
    for one, other in zip(found, expected, strict=True):
        difference = one.astype(int) - other
        assert np.abs(difference).max() <= 1
        assert np.abs(difference).mean() <= 0.05


@QUICK
@given(
    seed=st.integers(0, 1 << 16),
    pixel_format=st.sampled_from(sorted(BLOCKS)),
    matrix=st.sampled_from((1, 2, 5, 6, 9)),
    full_range=st.booleans(),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
)
def test_reading_and_writing_are_inverses(
    seed: int,
    pixel_format: str,
    matrix: int,
    full_range: bool,
    height: int,
    width: int,
) -> None:
    planes = colourful(seed, pixel_format, matrix, full_range, height, width)
    frame = frame_of(planes, pixel_format)
    frame.colorspace, frame.color_range = matrix, 2 if full_range else 1
    found = yuv_planes(rgb_pixels(frame), Sampling(BLOCKS[pixel_format], matrix, full_range))
    assert_same(found, planes)
    if not full_range:
        assert all(np.array_equal(*pair) for pair in zip(found, planes, strict=True))


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [2, 1, 6, 9])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_decoded_video_has_the_samples_of_its_source(
    tmp_path: Path, name: str, matrix: int, full_range: bool
) -> None:
    planes = colourful(1, "yuv420p", matrix, full_range, 48, 64)
    source = write_planes(tmp_path / name, planes, "yuv420p", matrix, 2 if full_range else 1)
    for target in ("once.mp4", "twice.mp4"):
        clip = read_clip(source, ALL)
        with open_writer(str(tmp_path / target), clip.properties, crf=0) as writer:
            for frame in clip.frames:
                writer.write(frame)
        source = str(tmp_path / target)
        found, frame = planes_in(source)
        assert_same(found, planes)
        assert (frame.colorspace, frame.color_range == 2) == (matrix, full_range)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(1280, 720, 1), (1920, 1080, 1), (1024, 576, 2), (720, 578, 1), (64, 48, 2)],
)
def test_hd_without_tags_is_bt709(tmp_path: Path, width: int, height: int, expected: int) -> None:
    rgb = np.full((height, width, 3), (32, 160, 64), np.uint8)
    planes = yuv_planes(rgb, Sampling(matrix=1 if expected == 1 else 6))
    clip = read_clip(write_planes(tmp_path / "a.mp4", planes, "yuv420p"), ALL)
    assert np.abs(clip.frames.astype(int) - rgb).max() <= 2
    assert clip.properties.color.matrix == expected
    with open_writer(str(tmp_path / "b.mp4"), clip.properties, crf=0) as writer:
        writer.write(clip.frames[0])
    found, frame = planes_in(str(tmp_path / "b.mp4"))
    assert_same(found, planes)
    assert frame.colorspace == expected


@pytest.mark.parametrize(("color_range", "is_full"), [(0, True), (1, False), (2, True)])
@pytest.mark.parametrize("pixel_format", ["gray", "gray10le"])
def test_grey_keeps_its_levels(tmp_path: Path, pixel_format: str, color_range: int, is_full: bool) -> None:
    """Grey without a tag has full range, as in PNG; with the tag of limited range it has that."""
    levels = np.tile(np.linspace(0 if is_full else 16, 255 if is_full else 235, 64), (32, 1))
    depth = np.uint16 if pixel_format == "gray10le" else np.uint8
    luma: NDArray[Any] = levels.round().astype(depth) << (2 if depth is np.uint16 else 0)
    source = write_planes(tmp_path / "a.mkv", [luma], pixel_format, color_range=color_range)
    clip = read_clip(source, SourceSettings(bit_depth=8))
    assert clip.properties.color.full_range == is_full
    assert clip.frames.min() == 0 and clip.frames.max() == 255
    with open_writer(str(tmp_path / "b.mp4"), clip.properties, crf=0) as writer:
        writer.write(clip.frames[0])
    found, frame = planes_in(str(tmp_path / "b.mp4"))
    assert_same(found[:1], [levels.round().astype(np.uint8)])
    assert (frame.color_range == 2) == is_full


@pytest.mark.parametrize("depth", [10, 12])
def test_deep_limited_range_is_not_darker(tmp_path: Path, depth: int) -> None:
    planes = colourful(2, "yuv420p", 1, False, 31, 33)
    deep: list[NDArray[Any]] = [plane.astype(np.uint16) << (depth - 8) for plane in planes]
    source = write_planes(tmp_path / "a.mkv", deep, f"yuv420p{depth}le", 1, 1)
    clip = read_clip(source, SourceSettings(bit_depth=8))
    assert_same(yuv_planes(clip.frames[0], Sampling()), planes)


def test_eval_measures_the_samples_that_the_source_stores(tmp_path: Path) -> None:
    """Samples beyond what RGB can hold still count, and each plane counts alone."""
    planes = [np.full((32, 48), 200, np.uint8), *(np.full((16, 24), value, np.uint8) for value in (90, 240))]
    source = write_planes(tmp_path / "a.mkv", planes, "yuv420p", 1, 1)
    worse = [planes[0] - 3, planes[1] + 5, planes[2]]
    other = write_planes(tmp_path / "b.mkv", [plane.astype(np.uint8) for plane in worse], "yuv420p", 1, 1)
    found = evaluate(source, other, measures=["yuv"]).values
    assert found["psnr_y"] == pytest.approx(20 * np.log10(255 / 3))
    assert found["psnr_u"] == pytest.approx(20 * np.log10(255 / 5))
    assert (found["psnr_v"] == 100).all()


def test_eval_converts_to_the_samples_of_the_source(tmp_path: Path) -> None:
    """The same picture in another range and matrix is the same picture."""
    rgb = gradient(48, 32)[0] // 2 + 60
    source = write_planes(tmp_path / "a.mkv", yuv_planes(rgb, Sampling((1, 1), 6, True)), "yuv444p", 6, 2)
    other = write_planes(tmp_path / "b.mkv", yuv_planes(rgb, Sampling((1, 1), 1)), "yuv444p", 1, 1)
    found = evaluate(source, other, measures=["yuv"]).values
    assert min(values.min() for values in found.values()) > 48


def flipped(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return frame[::-1]


def sideways(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return frame.swapaxes(0, 1)[::-1]


@pytest.mark.parametrize("pixel_format", BLOCKS)
@pytest.mark.parametrize("turn", [unturned, flipped, sideways])
@pytest.mark.parametrize("crop", [None, Size(8, 12), Size(10, 14), Size(9, 13)])
@pytest.mark.parametrize(
    "cropping", [NO_CROPPING, Cropping(4, 0, 8, 4), Cropping(2, 3, 6, 1), Cropping(3, 1, 5, 2)]
)
def test_planes_of_turned_and_cropped_pictures(
    pixel_format: str, turn: Turn, crop: Size | None, cropping: Cropping
) -> None:
    """Planes inside the RGB cube are the same whether they are cut out or converted."""
    frame = frame_of(colourful(3, pixel_format, 1, False, 32, 24), pixel_format)
    frame.colorspace, frame.color_range = 1, 1
    clip_pixels = placed(frame, turn, crop, cropping)
    picture = picture_of(frame, clip_pixels, turn, turn is sideways, SourceSettings(crop=crop), cropping)
    assert picture.sampling is not None
    found = picture.planes(picture.sampling)
    expected = yuv_planes(clip_pixels, picture.sampling)
    assert np.array_equal(found[0], expected[0])
    rows, columns = picture.sampling.block
    height, width = clip_pixels.shape[0] // rows, clip_pixels.shape[1] // columns
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert one.shape == other.shape
        assert np.array_equal(one[:height, :width], other[:height, :width])


def placed(frame: Any, turn: Turn, crop: Size | None, cropping: Cropping = NO_CROPPING) -> NDArray[np.uint8]:
    pixels = turn(cropping.cut(rgb_pixels(frame)))
    return np.ascontiguousarray(pixels if crop is None else cropped(pixels, crop))


def test_a_turn_about_a_cut_block_mixes_no_samples() -> None:
    planes = colourful(4, "yuv420p", 1, False, 31, 24)
    frame = frame_of(planes, "yuv420p")
    frame.colorspace, frame.color_range = 1, 1
    pixels = placed(frame, flipped, None)
    picture = picture_of(frame, pixels, flipped, False, ALL)
    assert picture.sampling is not None
    assert np.array_equal(picture.planes(picture.sampling)[1], yuv_planes(pixels, picture.sampling)[1])


def test_a_player_sees_the_colours_that_were_fitted(tmp_path: Path) -> None:
    """The exact formula, not our own reading, judges what is written."""
    rgb = np.full((32, 48, 3), (200, 90, 40), np.uint8)
    for matrix, full_range in ((1, False), (6, True), (9, False)):
        tags = ColorTags(matrix=matrix, full_range=full_range)
        properties = VideoProperties(48, 32, 1, Fraction(25), Fraction(1, 25), color=tags)
        with open_writer(str(tmp_path / "a.mp4"), properties, crf=0, overwrite=True) as writer:
            writer.write(rgb)
        found, _ = planes_in(str(tmp_path / "a.mp4"))
        red, blue = LUMA_WEIGHTS[matrix]
        luma = rgb[0, 0] @ np.array([red, 1 - red - blue, blue])
        values = [luma, (40 - luma) / (2 - 2 * blue), (200 - luma) / (2 - 2 * red)]
        low, luma_gain, chroma_gain = (0, 1.0, 1.0) if full_range else (16, 219 / 255, 224 / 255)
        exact = [low + luma_gain * values[0], *(128 + chroma_gain * value for value in values[1:])]
        for plane, value in zip(found, exact, strict=True):
            assert np.abs(plane - value).max() <= 0.6


@pytest.mark.parametrize(
    ("pixel_format", "planar"),
    [
        *(
            (name, name)
            for name in ("yuv410p", "yuv411p", "yuv440p", "yuvj422p", "yuv420p10le", "yuv444p12le")
        ),
        ("nv12", "yuv420p"),
        ("nv16", "yuv422p"),
        ("yuyv422", "yuv422p"),
        ("uyvy422", "yuv422p"),
        ("yuva420p", "yuv420p"),
        ("p010le", "yuv420p10le"),
    ],
)
def test_every_layout_of_samples_is_read_by_the_exact_formula(pixel_format: str, planar: str) -> None:
    random = np.random.default_rng(5)
    frame = VideoFrame(38, 22, planar)
    bits = frame.format.components[0].bits
    kind = np.uint16 if bits > 8 else np.uint8
    shapes = [(plane.height, plane.width) for plane in frame.planes]
    scale = 1 << (bits - 8)
    frame = frame_of([random.integers(64 * scale, 190 * scale, shape, kind) for shape in shapes], planar)
    frame.colorspace, frame.color_range = 1, 2 if "j" in planar else 1
    same = frame if pixel_format == planar else converted(frame, pixel_format)
    same.colorspace, same.color_range = frame.colorspace, frame.color_range
    assert np.abs(rgb_pixels(same) - exact_rgb(frame)).max() < 0.52


def test_a_conversion_gives_the_same_samples_each_time() -> None:
    # Two threads of swscale gave other samples three times in 1,000.
    frame = frame_of(colourful(7, "yuv422p", 1, False, 72, 88), "yuv422p")
    first = bytes(converted(frame, "yuyv422").planes[0])
    assert all(bytes(converted(frame, "yuyv422").planes[0]) == first for _ in range(20_000))
