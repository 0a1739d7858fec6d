"""Which streams of a source are read, and which files are refused before anything of them is decoded."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.layout import AudioLayout
from hypothesis import given
from hypothesis import strategies as st
from stream_samples import (
    SEGMENT,
    TRACK,
    TRACKS,
    VIDEO,
    hide_sound,
    insert_clean_aperture,
    insert_elements,
    join_programmes,
    reorder_channels,
    write_repeats,
    write_sound_at,
    write_tiles,
)
from track_samples import stored_packets
from video_samples import Notes, gradient, write_video

from bitstream import Extras, Padding
from bitstream.timestamps import duration, frame_time
from inrcodec.errors import NotAVideo
from inrcodec.settings.source import Size, SourceSettings
from inrcodec.video import demuxer, open_writer, read_clip, read_extras, source_tracks
from inrcodec.video.conversion import rgb_pixels
from inrcodec.video.cropping import NO_CROPPING, Cropping
from inrcodec.video.images import png_bytes
from inrcodec.video.layouts import plain_layout
from inrcodec.video.planes import yuv_planes
from inrcodec.video.properties import VideoProperties
from inrcodec.video.reader import FrameReading
from inrcodec.video.sources import find_images

WHOLE = SourceSettings()
SQUARE = VideoProperties(16, 16, 4, Fraction(25), Fraction(1, 12800))


def read_all(path: Path, notes: Notes, source: SourceSettings = WHOLE) -> Extras:
    return read_extras(str(path), source, read_clip(str(path), source, notes).window, notes)


def carried_through(path: Path, extras: Extras, notes: Notes) -> list[bytes]:
    """Packets of the first audio track of a file written with `extras`."""
    with open_writer(str(path), SQUARE, progress=notes, extras=extras) as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8))
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize(
    "name, plain",
    [
        ("stereo", "stereo"),
        ("5.1(side)", "5.1(side)"),
        ("22.2", "22.2"),
        ("FL+FR", "stereo"),
        ("2 channels (FL+LFE)", "2 channels (FL+LFE)"),
        ("FR+FL", "2 channels"),
        ("FL+FR+FL", "3 channels"),
        ("FL@Left+FR", "stereo"),
        ("UNSD+FL", "2 channels"),
        ("ambisonic 1", "4 channels"),
        ("ambisonic 1+stereo", "6 channels"),
        ("512 channels", "512 channels"),
    ],
)
def test_layouts_with_a_map_become_a_number_of_channels(name: str, plain: str) -> None:
    assert plain_layout(name) == plain


@pytest.mark.parametrize("name", ["", "round", "0 channels", "513 channels", "2147483647 channels"])
def test_impossible_layouts_are_refused(name: str) -> None:
    with pytest.raises(ValueError):
        plain_layout(name)


CHANNELS = [AudioLayout(hex(1 << bit)).channels[0].name for bit in (*range(18), *range(29, 45), 61, 62)]


@given(st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=64))
def test_a_layout_keeps_its_channels_exactly_in_native_order(names: list[str]) -> None:
    layout = AudioLayout(plain_layout("+".join(names)))
    found = [channel.name for channel in layout.channels]
    is_native = sorted(set(names), key=CHANNELS.index) == names and len(names) <= 24
    assert found == (names if is_native else ["NONE"] * len(names))


def in_its_own_process(code: str, *arguments: str | Path) -> str:
    """Return what the code prints; a crash of the process fails the test."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


READ_AND_WRITE = """
import sys
from inrcodec.progress import Silent
from inrcodec.settings.source import SourceSettings
from inrcodec.video import open_writer, read_clip, read_extras
clip = read_clip(sys.argv[1], SourceSettings())
extras = read_extras(sys.argv[1], SourceSettings(), clip.window, Silent())
with open_writer(sys.argv[2], clip.properties, progress=Silent(), extras=extras) as writer:
    for frame in clip.frames:
        writer.write(frame)
print(*(track.info.layout for track in extras.tracks))
"""


def test_a_source_with_reordered_channels_crashes_nothing(tmp_path: Path) -> None:
    film = write_sound_at(tmp_path / "a.mov", 0, codec="pcm_s16le", video="mpeg4", channels=3, frames=5)
    reorder_channels(film)
    assert in_its_own_process(READ_AND_WRITE, film, tmp_path / "b.mov") == "3 channels\n"
    with av.open(str(film)) as before, av.open(str(tmp_path / "b.mov")) as after:
        sound = [
            b"".join(bytes(packet) for packet in container.demux(audio=0)) for container in (before, after)
        ]
    assert sound[0] == sound[1] and sound[0]


WRITE_LAYOUT = """
import sys
from fractions import Fraction
import numpy as np
from bitstream import Extras, Packet, Padding, Track, TrackInfo, TrackKind
from inrcodec.progress import Silent
from inrcodec.video import open_writer
from inrcodec.video.planes import yuv_planes
from inrcodec.video.properties import VideoProperties
target, codec, layout, form = sys.argv[1:]
info = TrackInfo(TrackKind.AUDIO, codec, Fraction(1, 48000), {}, 48000, layout, form)
extras = Extras((Track(info, (Packet(0, 0, 20, True, bytes(120)),)),))
with open_writer(target, VideoProperties(16, 16, 1, Fraction(25), Fraction(1, 25)), extras=extras) as writer:
    writer.write(np.zeros((16, 16, 3), np.uint8))
"""


@pytest.mark.parametrize("suffix", ["mkv", "mov"])
@pytest.mark.parametrize("layout", ["FL+FR+FL", "FR+FL", "3 channels (FC+FL+FR)", "ambisonic 1+FR+FL"])
def test_no_layout_of_a_track_crashes_the_writer(tmp_path: Path, suffix: str, layout: str) -> None:
    target = tmp_path / f"a.{suffix}"
    in_its_own_process(WRITE_LAYOUT, target, "pcm_s16le", layout, "s16")
    with av.open(str(target)) as container:
        channels = container.streams.audio[0].codec_context.channels
    assert channels == AudioLayout(layout).nb_channels


def test_sound_that_begins_late_is_carried_whole(tmp_path: Path, notes: Notes) -> None:
    film = write_sound_at(tmp_path / "a.ts", 12, frames=325)
    with av.open(str(write_sound_at(tmp_path / "b.ts", 0)), "r") as container:
        expected = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    extras = read_all(film, notes)
    (track,) = extras.tracks
    assert [packet.data for packet in track.packets] == expected
    assert float(track.packets[0].pts * track.info.time_base) == pytest.approx(12 - 0.0218, abs=0.001)
    assert (track.info.sample_rate, track.info.layout) == (22050, "mono")
    assert carried_through(tmp_path / "c.mkv", extras, notes) == expected
    assert notes.lines == []


def test_sound_that_begins_after_the_probe(
    tmp_path: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # FFmpeg looks at the last 250 kB too.
    film = write_sound_at(tmp_path / "a.ts", 12, frames=1500)
    monkeypatch.setattr(demuxer, "_PROBED_BYTES", 5000)
    assert [len(track.packets) for track in read_all(film, notes).tracks] == [20]
    assert notes.lines == []
    monkeypatch.setattr(source_tracks, "_MOST_PROBED_BYTES", 5000)
    assert read_all(film, notes).tracks == ()
    assert notes.lines == ["not carried: 1 audio stream in which no sound was found"]


@pytest.mark.parametrize("can_look_further", [True, False])
def test_a_stream_that_appears_after_the_probe(
    tmp_path: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch, can_look_further: bool
) -> None:
    film = write_sound_at(tmp_path / "a.flv", 7, codec="libmp3lame", video="flv", frames=200)
    hide_sound(film)
    monkeypatch.setattr(demuxer, "_PROBED_BYTES", 2000)
    if not can_look_further:
        monkeypatch.setattr(source_tracks, "_MOST_PROBED_BYTES", 2000)
    extras = read_all(film, notes)
    if can_look_further:
        assert [track.info.codec for track in extras.tracks] == ["mp3"]
        assert len(extras.tracks[0].packets) > 30 and notes.lines == []
    else:
        assert extras.tracks == ()
        assert notes.lines == ["not carried: 1 stream beginning late in the file"]


def test_sound_goes_on_in_a_stream_of_another_number(tmp_path: Path, notes: Notes) -> None:
    parts = [
        write_sound_at(
            tmp_path / f"{part}.ts",
            0,
            frames=50,
            seconds=2,
            delay=2 * part,
            options={"mpegts_start_pid": str(0x200 if part == 1 else 0x100)},
        )
        for part in range(3)
    ]
    (tmp_path / "all.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    (track,) = read_all(tmp_path / "all.ts", notes).tracks
    expected = [packet.data for part in parts for packet in stored_packets(part, "audio")]
    assert [packet.data for packet in track.packets] == expected
    times = [float(packet.pts * track.info.time_base) for packet in track.packets]
    assert times == sorted(times) and times[-1] == pytest.approx(6, abs=0.1)
    assert [line for line in notes.lines if "video streams" not in line] == []


@pytest.mark.parametrize("start", [0, 1])
def test_sound_beside_other_sound_stays_a_track_of_its_own(tmp_path: Path, notes: Notes, start: int) -> None:
    film = write_sound_at(tmp_path / "a.ts", 0, frames=100, seconds=4)
    with av.open(str(film)) as source, av.open(str(tmp_path / "b.ts"), "w") as target:
        video, sound = source.streams
        streams = [target.add_stream_from_template(stream) for stream in (video, sound, sound)]
        for packet in source.demux():
            data, stream = bytes(packet), packet.stream
            for copy in streams[stream.index :] if packet.size else ():
                if copy is streams[2] and packet.pts * packet.time_base < start:
                    continue
                again = av.Packet(data)
                again.stream, again.time_base = copy, packet.time_base
                again.pts, again.dts, again.duration = packet.pts, packet.dts, packet.duration
                if (stream is video) == (copy is streams[0]):
                    target.mux(again)
    tracks = read_all(tmp_path / "b.ts", notes).tracks
    packets = [[packet.data for packet in track.packets] for track in tracks]
    assert packets[0] == [packet.data for packet in stored_packets(film, "audio")]
    assert len(packets) == 2 and packets[1] == packets[0][-len(packets[1]) :]
    assert len(packets[1]) == pytest.approx(len(packets[0]) * (4 - start) / 4, abs=2)


@pytest.mark.parametrize("number, width, own", [(None, 32, 2), (1, 32, 2), (0, 16, 1)])
def test_sound_belongs_to_the_programme_of_the_picture(
    tmp_path: Path, notes: Notes, number: int | None, width: int, own: int
) -> None:
    parts = [
        write_sound_at(
            tmp_path / f"{service}.ts",
            0,
            size=16 * service,
            seconds=0.5 * service,
            options={
                "mpegts_service_id": str(service),
                "mpegts_start_pid": str(0x100 * service),
                "mpegts_pmt_start_pid": str(0x1000 + service),
            },
        )
        for service in (1, 2)
    ]
    join_programmes(tmp_path / "both.ts", parts)
    extras = read_all(tmp_path / "both.ts", notes, SourceSettings(stream=number))
    with av.open(str(parts[own - 1])) as container:
        assert container.streams.video[0].width == width
        expected = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    assert [[packet.data for packet in track.packets] for track in extras.tracks] == [expected]
    assert "not carried: 1 audio or subtitle stream of other programmes" in notes.lines


@pytest.mark.parametrize("codec, suffix", [("aac", "mp4"), ("pcm_s16le", "mov")])
def test_sound_that_an_edit_list_removed_is_not_carried(
    tmp_path: Path, notes: Notes, codec: str, suffix: str
) -> None:
    film = write_sound_at(tmp_path / f"a.{suffix}", -0.5, codec=codec, video="mpeg4", seconds=1.5)
    with av.open(str(film)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    played = [packet for packet in packets if packet.pts + packet.duration > 0]
    expected, hidden = [bytes(packet) for packet in played], -played[0].pts
    assert len(expected) < len(packets) - 8 and hidden > 0
    (track,) = read_all(film, notes).tracks
    if codec == "aac":
        assert track.padding == Padding(hidden, 0)
    else:
        expected[0] = expected[0][2 * hidden :]
        assert track.padding == Padding(0, 0) and track.packets[0].pts == 0
    assert [packet.data for packet in track.packets] == expected
    assert notes.lines == []


def test_frames_that_an_edit_list_hides_are_not_missing(tmp_path: Path, notes: Notes) -> None:
    stamps = list(range(-80, 120, 40))
    film = write_video(tmp_path / "a.mp4", gradient(16, 16, 5), timestamps=stamps)
    assert len(read_clip(str(film), WHOLE, notes).frames) == 3
    assert notes.lines == []


def test_formats_are_those_of_ffmpeg_and_read_one_file() -> None:
    for name in demuxer.FORMATS:
        assert av.ContainerFormat(name, "r").is_input
    others = {"hls", "concat", "dash", "sdp", "rtsp", "rtp", "sap", "image2", "image2pipe", "lavfi", "tty"}
    others |= {"svg_pipe", "vobsub", "webm_dash_manifest", "ffmetadata", "x11grab", "fbdev"}
    assert not others & set(demuxer.FORMATS)


PLAYLISTS = {
    "hls": ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nb.ts\n#EXT-X-ENDLIST\n"),
    "concat": ("a.mp4", "ffconcat version 1.0\nfile b.ts\n"),
    "sdp": (
        "a.mkv",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ),
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_file_that_names_others_is_refused_by_its_format(tmp_path: Path, notes: Notes, name: str) -> None:
    write_sound_at(tmp_path / "b.ts", 0)
    file, text = PLAYLISTS[name]
    (tmp_path / file).write_text(text)
    with pytest.raises(NotAVideo, match=f"inrc does not read the format {name}"):
        read_clip(str(tmp_path / file), WHOLE, notes)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_text(text)
    with pytest.raises(NotAVideo):
        read_clip(str(tmp_path / "images"), WHOLE, notes)


def test_a_name_with_a_number_field_is_one_file(tmp_path: Path, notes: Notes) -> None:
    for name in ("a1.png", "a2.png", "a%d.png"):
        (tmp_path / name).write_bytes(png_bytes(gradient(16, 16)[0]))
    with pytest.raises(NotAVideo, match="inrc does not read the format image2"):
        read_clip(str(tmp_path / "a%d.png"), WHOLE, notes)


def bomb(width: int, height: int) -> dict[str, bytes]:
    """Small images that declare many pixels, by file name."""
    header = struct.pack(">II5B", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    chunks = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    )
    screen = struct.pack("<HH", width, height)
    gif = b"GIF89a" + screen + b"\x80\0\0" + bytes(6) + b"," + bytes(4) + screen + b"\0\2\2\x44\1\0;"
    return {"a.png": b"\x89PNG\r\n\x1a\n" + chunks, "a.gif": gif}


@pytest.mark.parametrize("name", ["a.png", "a.gif", "in/a.png"])
def test_pictures_too_large_are_refused_by_their_size(tmp_path: Path, notes: Notes, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bomb(16000, 16000)[path.name])
    with pytest.raises(NotAVideo, match="16000x16000 pixels, and at most 134,217,728"):
        read_clip(str(path.parent if path.parent != tmp_path else path), WHOLE, notes)


def test_a_picture_made_of_tiles_is_refused(tmp_path: Path, notes: Notes) -> None:
    with pytest.raises(NotAVideo, match="made of 3 tiles"):
        read_clip(str(write_tiles(tmp_path / "a.avif", 3)), WHOLE, notes)


@pytest.mark.parametrize("repeats", [{4, 5, 9}, {1}, {2, 3, 4, 5, 6}])
def test_empty_packets_repeat_a_frame(tmp_path: Path, notes: Notes, repeats: set[int]) -> None:
    film = write_repeats(tmp_path / "a.mov", gradient(48, 32, 12), repeats)
    clip = read_clip(str(film), WHOLE, notes)
    kept = [number for number in range(12) if number not in repeats]
    found = [frame_time(clip.properties, index) for index in range(len(kept))]
    assert found == [Fraction(number, 25) for number in kept]
    assert duration(clip.properties) == Fraction(12, 25)
    assert notes.lines == []


def test_files_of_macos_beside_images_are_no_images(tmp_path: Path) -> None:
    for name in ("001.PNG", "._001.PNG", ".DS_Store", ".hidden.png"):
        (tmp_path / name).write_bytes(b"x")
    assert find_images(str(tmp_path)) == [tmp_path / "001.PNG"]


CROP_BOTTOM, CROP_TOP, CROP_LEFT, CROP_RIGHT = b"\x54\xaa", b"\x54\xbb", b"\x54\xcc", b"\x54\xdd"
DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT = b"\x54\xb0", b"\x54\xba", b"\x54\xb2"


@pytest.mark.parametrize("left, right, top, bottom", [(0, 0, 8, 8), (3, 1, 0, 5), (2, 4, 6, 0)])
@pytest.mark.parametrize("pixel_format", ["yuv444p", "gray", "bgr0"])
def test_cropping_of_the_container_is_applied(
    tmp_path: Path, notes: Notes, left: int, right: int, top: int, bottom: int, pixel_format: str
) -> None:
    film = write_video(tmp_path / "a.mkv", gradient(40, 32, 3), "ffv1", pixel_format)
    whole = read_clip(str(film), WHOLE, notes).frames
    crop = {CROP_LEFT: left, CROP_RIGHT: right, CROP_TOP: top, CROP_BOTTOM: bottom}
    insert_elements(film, (SEGMENT, TRACKS, TRACK, VIDEO), crop)
    clip = read_clip(str(film), WHOLE, notes)
    assert np.array_equal(clip.frames, whole[:, top : 32 - bottom, left : 40 - right])
    assert notes.lines == []


@pytest.mark.parametrize("left, top", [(8, 4), (3, 5), (2, 1), (1, 0)])
def test_a_cropped_picture_keeps_its_chroma_in_place(
    tmp_path: Path, notes: Notes, left: int, top: int
) -> None:
    """Chroma that is cut inside a block is measured as converted from the pixels."""
    film = write_video(tmp_path / "a.mkv", gradient(40, 32, 2), "ffv1", "yuv420p")
    with av.open(str(film)) as container:
        before = next(container.decode(video=0))
    whole, stored = rgb_pixels(before), before.to_ndarray()
    insert_elements(film, (SEGMENT, TRACKS, TRACK, VIDEO), {CROP_LEFT: left, CROP_TOP: top, CROP_RIGHT: 4})
    with closing(FrameReading(str(film), WHOLE, notes).pictures()) as pictures:
        picture = next(pictures)
    assert np.array_equal(picture.pixels, whole[top:, left:36])
    assert picture.sampling is not None
    planes = picture.planes(picture.sampling)
    chroma = [plane.reshape(16, 20)[top // 2 :, left // 2 : 18] for plane in (stored[32:40], stored[40:])]
    expected = [stored[top:32, left:36], *chroma]
    if top % 2 or left % 2:
        expected = yuv_planes(picture.pixels, picture.sampling)
    for plane, exact in zip(planes, expected, strict=True):
        assert np.array_equal(plane, exact)


@pytest.mark.parametrize("display, ratio", [((40, 16), Fraction(1)), ((60, 16), Fraction(3, 2))])
def test_a_cropped_picture_keeps_its_shape(
    tmp_path: Path, notes: Notes, display: tuple[int, int], ratio: Fraction
) -> None:
    film = write_video(tmp_path / "a.mkv", gradient(40, 32, 3), "ffv1")
    size = {DISPLAY_WIDTH: display[0], DISPLAY_HEIGHT: display[1], DISPLAY_UNIT: 0}
    insert_elements(film, (SEGMENT, TRACKS, TRACK, VIDEO), {CROP_TOP: 8, CROP_BOTTOM: 8, **size})
    properties = read_clip(str(film), WHOLE, notes).properties
    assert (properties.width, properties.height, properties.sample_aspect_ratio) == (40, 16, ratio)


def test_the_clean_aperture_of_quicktime_is_applied(tmp_path: Path, notes: Notes) -> None:
    film = write_video(tmp_path / "a.mov", gradient(64, 48, 3), "mpeg4", "yuv420p")
    whole = read_clip(str(film), WHOLE, notes).frames
    insert_clean_aperture(film, 60, 40)
    assert np.array_equal(read_clip(str(film), WHOLE, notes).frames, whole[:, 4:44, 2:62])


def test_scaling_a_cropped_picture_keeps_its_shape(tmp_path: Path, notes: Notes) -> None:
    film = write_video(tmp_path / "a.mkv", gradient(40, 32, 3), "ffv1")
    size = {DISPLAY_WIDTH: 40, DISPLAY_HEIGHT: 16, DISPLAY_UNIT: 0}
    insert_elements(film, (SEGMENT, TRACKS, TRACK, VIDEO), {CROP_TOP: 8, CROP_BOTTOM: 8, **size})
    scaled = read_clip(str(film), SourceSettings(scale=Size(20, 16)), notes).properties
    assert scaled.sample_aspect_ratio == Fraction(2)


@pytest.mark.parametrize("cropping", [Cropping(0, 0, 16, 16), Cropping(39, 1, 0, 0), Cropping(9, 40, 0, 0)])
def test_cropping_that_leaves_nothing_is_ignored(cropping: Cropping) -> None:
    assert cropping.within(32, 40) == NO_CROPPING


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
@pytest.mark.parametrize("opacity, is_noted", [(90, True), (255, False)])
def test_transparency_beside_the_pictures_of_a_webm_is_noted(
    tmp_path: Path, notes: Notes, codec: str, opacity: int, is_noted: bool
) -> None:
    with av.open(str(tmp_path / "a.webm"), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"auto-alt-ref": "0"})
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuva420p"
        for pixels in gradient(32, 16, 3):
            alpha = np.full((16, 32, 1), 255, np.uint8)
            alpha[4:, 8:] = opacity
            frame = av.VideoFrame.from_ndarray(np.concatenate([pixels, alpha], axis=2), format="rgba")
            container.mux(stream.encode(frame.reformat(format="yuva420p")))
        container.mux(stream.encode(None))
    assert len(read_clip(str(tmp_path / "a.webm"), WHOLE, notes).frames) == 3
    assert notes.lines == (["transparency is not carried: pixels are coded as if opaque"] if is_noted else [])
