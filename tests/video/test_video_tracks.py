"""Audio, subtitles, chapters and tags: packets survive unchanged and in sync with the picture."""

from __future__ import annotations

import dataclasses
import tempfile
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_samples import write_sound_at
from track_samples import flash_and_onset, stored_packets, write_film
from video_samples import Notes, gradient, write_video

from benchmarks.inputs.makers import with_cover
from bitstream import Chapter, Extras, Packet, Padding, Track, TrackInfo, TrackKind
from inrcodec.errors import OutputError, UsageError
from inrcodec.settings.source import FrameRange, SourceSettings
from inrcodec.video import open_writer, read_clip, read_extras
from inrcodec.video.properties import Clip, VideoProperties, Window
from inrcodec.video.timestamps import selected_properties, window_of
from inrcodec.video.tracks import cut_extras

FRAME_SECONDS = 0.04
SQUARE = VideoProperties(16, 16, 4, Fraction(25), Fraction(1, 12800))


def read_film(path: Path, notes: Notes, source: SourceSettings | None = None) -> tuple[Clip, Extras]:
    source = source or SourceSettings()
    clip = read_clip(str(path), source, notes)
    return clip, read_extras(str(path), source, clip.window, notes)


def write_film_again(target: Path, clip: Clip, extras: Extras, notes: Notes) -> Path:
    with open_writer(str(target), clip.properties, progress=notes, extras=extras) as writer:
        for frame in clip.frames:
            writer.write(frame)
    return target


def write_black(target: Path, extras: Extras, notes: Notes) -> None:
    with open_writer(str(target), SQUARE, progress=notes, extras=extras) as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8))


@pytest.mark.parametrize(
    "codec, source, target",
    [
        ("aac", "mp4", "mp4"),
        ("aac", "mp4", "mkv"),
        ("aac", "mkv", "mov"),
        ("aac", "ts", "mp4"),
        ("libopus", "mkv", "webm"),
        ("libopus", "webm", "mp4"),
        ("libmp3lame", "mkv", "mp4"),
        ("libmp3lame", "mp4", "mkv"),
        ("flac", "mkv", "mkv"),
        ("ac3", "mkv", "mp4"),
        ("pcm_s16le", "mov", "mkv"),
    ],
)
def test_sound_comes_out_as_it_went_in(
    tmp_path: Path, notes: Notes, codec: str, source: str, target: str
) -> None:
    if source == "webm":
        film = write_film(tmp_path / "a.mkv", codec)
    else:
        film = write_film(tmp_path / f"a.{source}", codec)
    clip, extras = read_film(film, notes)
    again = write_film_again(tmp_path / f"b.{target}", clip, extras, notes)
    assert notes.lines == []
    before, after = stored_packets(film, "audio"), stored_packets(again, "audio")
    if (codec, source) != ("aac", "ts"):  # From a transport stream, frames lose its headers.
        assert [packet.data for packet in after] == [packet.data for packet in before]
    assert len(after) == len(before)
    flash, onset = flash_and_onset(again)
    assert abs(flash - onset) < FRAME_SECONDS


@pytest.mark.parametrize("target", ["mp4", "mkv"])
@pytest.mark.parametrize("delay", [0.0, 3.6])
def test_sound_stays_in_step_through_two_cuts_and_a_late_start(
    tmp_path: Path, notes: Notes, target: str, delay: float
) -> None:
    film = write_film(tmp_path / "a.mkv", delay=delay)
    clip, extras = read_film(film, notes, SourceSettings(frames=FrameRange(10, 45)))
    frames = range(5, 30)
    cut = cut_extras(extras, window_of(clip.properties, frames))
    part = Clip(clip.frames[5:30], selected_properties(clip.properties, frames, 1))
    again = write_film_again(tmp_path / f"b.{target}", part, cut, notes)
    flash, onset = flash_and_onset(again)
    assert abs(flash - onset) < FRAME_SECONDS
    assert flash == pytest.approx((30 - 15) / 25, abs=0.001)
    times = [packet.seconds for packet in stored_packets(again, "audio")]
    assert 0 <= times[0] < 0.03 and 0.97 < times[-1] < 1


def test_subtitles_chapters_tags_and_languages_come_back(tmp_path: Path, notes: Notes) -> None:
    film = write_film(tmp_path / "a.mkv", subtitles="subrip", delay=2.0)
    clip, extras = read_film(film, notes)
    again = write_film_again(tmp_path / "b.mkv", clip, extras, notes)
    with av.open(str(again)) as container:
        assert container.metadata["title"] == "Film"
        first = next(container.decode(video=0))
        # Matroska begins with the audio before the first frame.
        begin = (first.pts or 0) * (first.time_base or Fraction(0))
        titles = [(c["start"] * c["time_base"] - begin, c["metadata"]["title"]) for c in container.chapters()]
        assert titles == [(0, "One"), (1, "Two")]
        languages = {stream.type: stream.language for stream in container.streams}
    assert languages == {"video": None, "audio": "deu", "subtitle": "fra"}
    assert [packet.data for packet in stored_packets(again, "subtitle")] == [b"Hello", b"again"]
    times = [packet.seconds for packet in stored_packets(again, "subtitle")]
    assert times == pytest.approx([0.2, 1.1], abs=0.002)
    assert notes.lines == []


def test_no_audio_drops_sound_and_subtitles_and_keeps_the_rest(tmp_path: Path, notes: Notes) -> None:
    film = write_film(tmp_path / "a.mkv", subtitles="subrip")
    _, extras = read_film(film, notes, SourceSettings(audio=False))
    assert extras.tracks == () and len(extras.chapters) == 2 and extras.tags["title"] == "Film"


@pytest.mark.parametrize(
    "codec, target", [("aac", "webm"), ("libopus", "mov"), ("libmp3lame", "webm"), ("flac", "mov")]
)
def test_what_the_target_cannot_hold_is_noted_and_dropped(
    tmp_path: Path, notes: Notes, codec: str, target: str
) -> None:
    film = write_film(tmp_path / "a.mkv", codec)
    clip, extras = read_film(film, notes)
    again = write_film_again(tmp_path / f"b.{target}", clip, extras, notes)
    with av.open(str(again)) as container:
        assert not container.streams.audio and len(container.streams.video) == 1
    assert len(notes.lines) == 1 and "(audio) is dropped" in notes.lines[0]


def test_subtitles_of_matroska_are_dropped_from_mp4_and_sound_is_not(tmp_path: Path, notes: Notes) -> None:
    film = write_film(tmp_path / "a.mkv", subtitles="subrip")
    clip, extras = read_film(film, notes)
    again = write_film_again(tmp_path / "b.mp4", clip, extras, notes)
    assert len(notes.lines) == 1 and "subrip (subtitle) is dropped" in notes.lines[0]
    assert stored_packets(again, "audio")


@pytest.mark.parametrize("target", ["b.y4m", "frames/", "%03d.png"])
def test_pictures_alone_hold_no_sound(tmp_path: Path, notes: Notes, target: str) -> None:
    film = write_film(tmp_path / "a.mp4")
    clip, extras = read_film(film, notes)
    with open_writer(f"{tmp_path}/{target}", clip.properties, progress=notes, extras=extras) as writer:
        writer.write(clip.frames[0])
    assert len(notes.lines) == 1 and "audio and subtitles are dropped" in notes.lines[0]


def test_parameters_from_a_strange_file_drop_the_track(tmp_path: Path, notes: Notes) -> None:
    infos = [
        TrackInfo(TrackKind.AUDIO, "nonsense", Fraction(1, 1000), {}),
        TrackInfo(TrackKind.AUDIO, "subrip", Fraction(1, 1000), {}),
        TrackInfo(TrackKind.AUDIO, "libx264", Fraction(1, 1000), {}),
        TrackInfo(TrackKind.SUBTITLE, "h264", Fraction(1, 1000), {}),
        TrackInfo(TrackKind.AUDIO, "aac", Fraction(1, 1000), {}, sample_rate=48000, layout="round"),
        TrackInfo(TrackKind.AUDIO, "aac", Fraction(1, (1 << 32) - 1), {}, sample_rate=48000, layout="mono"),
        TrackInfo(TrackKind.AUDIO, "aac", Fraction(1, 1000), {}, (1 << 32) - 1, "mono", "fltp"),
    ]
    extras = Extras(tuple(Track(info, (Packet(0, 0, 1, True, b"x"),)) for info in infos))
    with open_writer(str(tmp_path / "a.mkv"), SQUARE, progress=notes, extras=extras) as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8))
    assert len(notes.lines) == len(infos)


def test_packets_whose_times_fall_are_left_out(tmp_path: Path, notes: Notes) -> None:
    _, extras = read_film(write_film(tmp_path / "a.mp4"), notes)
    track = extras.tracks[0]
    twice = dataclasses.replace(track, packets=(*track.packets[:3], *track.packets[:2], *track.packets[3:]))
    write_black(tmp_path / "b.mp4", Extras((twice,)), notes)
    assert len(stored_packets(tmp_path / "b.mp4", "audio")) == len(track.packets)
    assert notes.lines == ["2 packets of aac (audio) are dropped: their timestamps decrease"]


@pytest.mark.parametrize(
    "codec, target", [("subrip", "b.mkv"), ("ass", "b.mkv"), ("webvtt", "b.webm"), ("mov_text", "b.mp4")]
)
def test_subtitles_that_begin_together_are_all_kept(
    tmp_path: Path, notes: Notes, codec: str, target: str
) -> None:
    info = TrackInfo(TrackKind.SUBTITLE, codec, Fraction(1, 1000), {})
    texts = [(0, b"\0\1a"), (200, b"\0\1b"), (200, b"\0\1c"), (1200, b"\0\1d")]
    track = Track(info, tuple(Packet(at, at, 100, True, data) for at, data in texts))
    write_black(tmp_path / target, Extras((track,)), notes)
    written = {packet.data: packet.seconds for packet in stored_packets(tmp_path / target, "subtitle")}
    assert [written[data] for _, data in texts] == pytest.approx([0, 0.2, 0.2, 1.2])
    assert notes.lines == []


@pytest.mark.parametrize("target", ["b.mkv", "b.mp4"])
@pytest.mark.parametrize("time_base", [Fraction(1, 1000), Fraction(1, 90000)])
def test_sound_of_coarse_times_is_kept(
    tmp_path: Path, notes: Notes, target: str, time_base: Fraction
) -> None:
    _, extras = read_film(write_film(tmp_path / "a.mkv", "ac3"), notes)
    sound = extras.tracks[0]
    packets = tuple(packet._replace(pts=at // 3, dts=at // 3) for at, packet in enumerate(sound.packets))
    info = dataclasses.replace(sound.info, time_base=time_base)
    write_black(tmp_path / target, Extras((Track(info, packets),)), notes)
    kept = stored_packets(tmp_path / target, "audio")
    assert [packet.data for packet in kept] == [packet.data for packet in sound.packets]
    assert notes.lines == []


def test_a_track_whose_first_packet_is_refused_is_dropped(tmp_path: Path, notes: Notes) -> None:
    _, extras = read_film(write_film(tmp_path / "a.mp4"), notes)
    sound = extras.tracks[0]
    strange = dataclasses.replace(sound, info=dataclasses.replace(sound.info, extradata=b""))
    write_black(tmp_path / "b.mkv", Extras((strange,)), notes)
    assert len(notes.lines) == 1 and "aac (audio) is dropped" in notes.lines[0]


def test_an_error_late_in_the_sound_names_the_track(tmp_path: Path, notes: Notes) -> None:
    _, extras = read_film(write_film(tmp_path / "a.ts"), notes)
    sound = extras.tracks[0]
    headless = sound.packets[3]._replace(data=b"abcdefgh")
    strange = dataclasses.replace(sound, packets=(*sound.packets[:3], headless))
    with pytest.raises(OutputError, match=r"aac \(audio\).*audio=False"):
        write_black(tmp_path / "b.mkv", Extras((strange,)), notes)


def test_subtitles_and_chapters_are_shortened_at_the_ends() -> None:
    info = TrackInfo(TrackKind.SUBTITLE, "subrip", Fraction(1, 1000), {})
    texts = tuple(Packet(at, at, 400, True, b"x") for at in (0, 300, 700, 1100, 1600))
    window = Window(Fraction(1, 2), True, Fraction(3, 2))
    cut = cut_extras(Extras((Track(info, texts),)), window)
    assert [(packet.pts, packet.duration) for packet in cut.tracks[0].packets] == [
        (0, 200),
        (200, 400),
        (600, 400),
    ]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_irregular_timestamps_come_back(tmp_path: Path, suffix: str, notes: Notes) -> None:
    stamps = (0, 40, 300, 310, 900, 901, 2000)
    source = write_video(tmp_path / "a.mkv", gradient(16, 16, len(stamps)), timestamps=list(stamps))
    clip = read_clip(str(source), SourceSettings(), notes)
    again = write_film_again(tmp_path / f"b.{suffix}", clip, Extras(), notes)
    with av.open(str(again)) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert times == [Fraction(stamp, 1000) for stamp in stamps]
    assert notes.lines == []


def test_times_of_a_part_and_between_frames() -> None:
    timed = VideoProperties(16, 16, 4, Fraction(4), Fraction(1, 1000), timestamps=(0, 40, 300, 310))
    part = selected_properties(timed, range(1, 4), 1)
    assert part.timestamps == (0, 260, 270)
    doubled = selected_properties(timed, range(0, 3), 2)
    assert doubled.time_base == Fraction(1, 2000)
    assert doubled.timestamps == (0, 40, 80, 340, 600)
    assert window_of(timed, range(1, 3)) == Window(Fraction(40, 1000), True, Fraction(310, 1000))


def test_pictures_alone_have_regular_times(tmp_path: Path, notes: Notes) -> None:
    timed = dataclasses.replace(SQUARE, timestamps=(0, 40, 300, 310))
    with open_writer(str(tmp_path / "a.y4m"), timed, progress=notes) as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8))
    assert len(notes.lines) == 1 and "constant 25 fps" in notes.lines[0]


def test_one_of_several_videos_is_chosen(tmp_path: Path, notes: Notes) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=25) for _ in range(2)]
        for number, stream in enumerate(streams):
            stream.width = stream.height = 32 + 16 * number
            stream.pix_fmt = "yuv420p"
        for stream in streams:
            pixels = np.zeros((stream.height, stream.width, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode(None))
    assert read_clip(str(path), SourceSettings(stream=0), notes).properties.width == 32
    assert read_clip(str(path), SourceSettings(stream=1), notes).properties.width == 48
    assert notes.lines == []
    width = read_clip(str(path), SourceSettings(), notes).properties.width
    assert len(notes.lines) == 1
    assert f"2 video streams: number {(width - 32) // 16} is used" in notes.lines[0]
    with pytest.raises(UsageError, match="has 2 video stream"):
        read_clip(str(path), SourceSettings(stream=2), notes)


def test_an_oversized_header_drops_its_track_and_the_sound_stays(tmp_path: Path, notes: Notes) -> None:
    fonts = "[Script Info]\n\n[Fonts]\nfontname: a.ttf\n" + ("A" * 80 + "\n") * 15000
    film = write_film(tmp_path / "a.mkv", subtitles="ass", header=fonts.encode())
    _, extras = read_film(film, notes)
    assert [track.info.kind for track in extras.tracks] == [TrackKind.AUDIO]
    assert len(extras.chapters) == 2
    assert len(notes.lines) == 1
    assert "a track of ass is not carried" in notes.lines[0] and "max_extradata_bytes" in notes.lines[0]


def test_an_oversized_text_of_a_chapter_drops_the_chapters(tmp_path: Path, notes: Notes) -> None:
    film = write_film(tmp_path / "a.mkv", chapter_title="x" * 1_200_000)
    _, extras = read_film(film, notes)
    assert len(extras.tracks) == 1 and extras.chapters == () and extras.tags["title"] == "Film"
    assert len(notes.lines) == 1 and "chapters are not carried" in notes.lines[0]


def test_chapters_of_any_time_base_are_kept_and_impossible_ones_dropped(tmp_path: Path, notes: Notes) -> None:
    chapters = (
        Chapter(Fraction((1 << 31) - 1), 0, 1, {"title": "long"}),
        Chapter(Fraction(1, (1 << 32) - 1), 1 << 31, (1 << 32) - 1, {"title": "fine"}),
        Chapter(Fraction((1 << 32) - 1), 0, 1, {"title": "too long"}),
        Chapter(Fraction(1, 1000), 5, 3, {"title": "backward"}),
        Chapter(Fraction(1), 0, (1 << 60) - 1, {"title": "endless"}),
    )
    write_black(tmp_path / "a.mkv", Extras(chapters=chapters), notes)
    with av.open(str(tmp_path / "a.mkv")) as container:
        found = {c["metadata"]["title"]: float(c["start"] * c["time_base"]) for c in container.chapters()}
    assert found == {"fine": pytest.approx(0.5), "long": 0}
    assert len(notes.lines) == 1 and "3 chapters are dropped" in notes.lines[0]


@pytest.mark.parametrize("suffix, count", [("mp4", 1), ("mov", 1), ("mkv", 0)])
def test_sound_before_the_first_frame_is_noted_where_it_is_not_played(
    tmp_path: Path, notes: Notes, suffix: str, count: int
) -> None:
    _, extras = read_film(write_film(tmp_path / "a.mp4"), notes)
    sound = extras.tracks[0]
    early = tuple(packet._replace(pts=packet.pts - 24000, dts=packet.dts - 24000) for packet in sound.packets)
    write_black(tmp_path / f"b.{suffix}", Extras((Track(sound.info, early),)), notes)
    assert len(notes.lines) == count
    assert all("0.521 s of aac (audio) come before the first frame" in line for line in notes.lines)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
@pytest.mark.parametrize(
    "codec, early, padding, expected",
    [
        ("alac", 960, 0, 0.02),
        ("ac3", 2880, 0, 0),
        ("ac3", 3168, 0, 0.066),
        ("aac", 2048, 0, 0),
        ("aac", 2400, 0, 0.05),
        ("aac", 1024, 1024, 0),
        ("aac", 2112, 2112, 0),
        ("aac", 1984, 1024, 0.02),
        ("pcm_s16le", 1440, 0, 0.03),
    ],
)
def test_sound_before_the_first_frame_is_told_from_what_fills_the_decoder(
    tmp_path: Path, notes: Notes, suffix: str, codec: str, early: int, padding: int, expected: float
) -> None:
    step = 1536 if codec == "ac3" else 1024
    info = TrackInfo(TrackKind.AUDIO, codec, Fraction(1, 48000), {}, 48000, "stereo")
    info = dataclasses.replace(info, extradata=b"\x11\x90" if codec == "aac" else b"")
    packets = tuple(Packet(at, at, step, True, bytes(4 * step)) for at in range(-early, 9600, step))
    track = Track(info, packets, Padding(padding, 0))
    write_black(tmp_path / f"b.{suffix}", Extras((track,)), notes)
    lines = [f"{expected:.3f} s of {codec} (audio) come before the first frame"] if expected else []
    assert len(notes.lines) == len(lines)
    assert all(line in found for line, found in zip(lines, notes.lines, strict=True))


PHONE_TAGS = {
    "com.android.version": "14",
    "com.apple.quicktime.creationdate": "2024-01-01T10:00:00+0100",
    "com.apple.quicktime.location.ISO6709": "+48.1+011.5/",
}
COMMON_TAGS = {"title": "Film", "artist": "A", "comment": "C", "date": "2024"}


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize(
    "tags",
    [
        PHONE_TAGS,
        COMMON_TAGS,
        {**COMMON_TAGS, **PHONE_TAGS},
        {"synopsis": "S", "album_artist": "B", "make": "M", "model": "N"},
    ],
    ids=["phone", "common", "both", "others"],
)
def test_tags_of_any_name_come_back(tmp_path: Path, notes: Notes, suffix: str, tags: dict[str, str]) -> None:
    target = tmp_path / f"a.{suffix}"
    write_black(target, Extras(tags=tags), notes)
    with av.open(str(target)) as container:
        found = {name.lower(): value for name, value in container.metadata.items()}
    expected = {name.lower(): value for name, value in tags.items()}
    assert {name: found.get(name) for name in expected} == expected
    assert notes.lines == []


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_a_place_has_one_of_its_two_names(tmp_path: Path, notes: Notes, suffix: str) -> None:
    write_black(tmp_path / f"a.{suffix}", Extras(tags={"location": "+48.1+011.5/"}), notes)
    with av.open(str(tmp_path / f"a.{suffix}")) as container:
        found = container.metadata
    assert "+48.1+011.5/" in (found.get("location"), found.get("com.apple.quicktime.location.ISO6709"))


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_title_and_language_of_the_video_come_back(tmp_path: Path, notes: Notes, suffix: str) -> None:
    tags = {"title": "Director's cut", "language": "jpn"}
    write_black(tmp_path / f"a.{suffix}", Extras(video_tags=tags), notes)
    assert read_extras(str(tmp_path / f"a.{suffix}"), SourceSettings(), Window(), notes).video_tags == tags
    assert notes.lines == []


def samples_of(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


@pytest.mark.parametrize(
    "codec, source, target",
    [
        ("libopus", "webm", "webm"),
        ("libopus", "webm", "mkv"),
        ("libopus", "mkv", "webm"),
        ("libopus", "mp4", "mkv"),
        ("libopus", "mp4", "mp4"),
        ("aac", "mp4", "mp4"),
        ("aac", "mp4", "mkv"),
        ("aac", "mkv", "mov"),
        ("libmp3lame", "mkv", "mkv"),
        ("libmp3lame", "mp4", "mkv"),
        ("libmp3lame", "mp4", "mp4"),
    ],
)
def test_as_many_samples_are_played_as_before(
    tmp_path: Path, notes: Notes, codec: str, source: str, target: str
) -> None:
    film = tmp_path / f"a.{source}"
    if source == "webm":
        write_sound_at(film, 0, codec=codec, video="libvpx", frames=50, seconds=2, rate=48000)
    else:
        write_sound_at(film, 0, codec=codec, video="mpeg4", frames=50, seconds=2, rate=48000)
    clip, extras = read_film(film, notes)
    assert extras.tracks[0].padding.start > 0
    again = write_film_again(tmp_path / f"b.{target}", clip, extras, notes)
    assert samples_of(again) == samples_of(film)
    _, twice = read_film(again, notes)
    assert twice.tracks[0].padding.start == extras.tracks[0].padding.start
    assert notes.lines == []


@pytest.mark.parametrize("delay", [0, 7])
def test_an_mp4_states_as_many_samples_as_the_webm_plays(tmp_path: Path, notes: Notes, delay: int) -> None:
    film = write_sound_at(
        tmp_path / "a.webm", 0, codec="libopus", video="libvpx", frames=50, seconds=2, rate=48000
    )
    clip, extras = read_film(film, notes)
    moved = cut_extras(extras, Window(Fraction(delay, 1000), False, None))
    again = write_film_again(tmp_path / "b.mp4", clip, moved, notes)
    assert samples_of(film) == 96_000
    with av.open(str(again)) as container:
        sound = container.streams.audio[0]
        assert sound.duration * sound.time_base == 2
        # FFmpeg plays the last packet of an .mp4 to its end.
    assert samples_of(again) == 96_000 + extras.tracks[0].padding.end


@pytest.mark.parametrize("seconds", [0.2, 1.13, 2])
@pytest.mark.parametrize("target", ["mp4", "mov", "mkv"])
def test_a_last_packet_without_a_duration_is_played(
    tmp_path: Path, notes: Notes, target: str, seconds: float
) -> None:
    film = write_sound_at(
        tmp_path / "a.mkv", 0, codec="alac", video="mpeg4", frames=50, seconds=seconds, rate=48000
    )
    clip, extras = read_film(film, notes)
    assert extras.tracks[0].packets[-1].duration == 0
    assert samples_of(write_film_again(tmp_path / f"b.{target}", clip, extras, notes)) == round(
        48000 * seconds
    )
    assert notes.lines == []


@pytest.mark.parametrize("codec", ["alac", "flac"])
@pytest.mark.parametrize("target", ["mkv", "mp4"])
def test_sound_that_an_edit_list_removes_stays_away(
    tmp_path: Path, notes: Notes, codec: str, target: str
) -> None:
    """The edit list cuts inside the first packet of a codec that needs no priming."""
    film = write_sound_at(tmp_path / "a.mp4", -0.02, codec=codec, video="mpeg4", frames=50, rate=48000)
    clip, extras = read_film(film, notes)
    assert extras.tracks[0].padding == Padding(960, 0)
    assert samples_of(film) == 47040
    assert samples_of(write_film_again(tmp_path / f"b.{target}", clip, extras, notes)) == 47040
    assert notes.lines == []


@pytest.mark.parametrize("codec", ["dts", "truehd", "mlp", "mp1"])
def test_sound_that_pyav_cannot_encode_is_carried(tmp_path: Path, notes: Notes, codec: str) -> None:
    info = TrackInfo(TrackKind.AUDIO, codec, Fraction(1, 1000), {}, 48000, "stereo")
    packets = tuple(Packet(at, at, 20, True, bytes([at]) * 500) for at in range(0, 200, 20))
    write_black(tmp_path / "b.mkv", Extras((Track(info, packets),)), notes)
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == codec
    # The parsers of PyAV would drop these packets.
    stored = (tmp_path / "b.mkv").read_bytes()
    assert all(packet.data in stored for packet in packets)
    assert notes.lines == []


def test_padding_belongs_to_the_first_and_the_last_packet() -> None:
    info = TrackInfo(TrackKind.AUDIO, "opus", Fraction(1, 1000), {}, 48000)
    packets = tuple(Packet(at, at, 20, True, bytes([at])) for at in range(0, 200, 20))
    track = Track(info, packets, Padding(312, 648))
    whole = cut_extras(Extras((track,)), Window(Fraction(0), False, None))
    late = cut_extras(Extras((track,)), Window(Fraction(1, 10), True, None))
    early = cut_extras(Extras((track,)), Window(Fraction(0), False, Fraction(1, 10)))
    none = cut_extras(Extras((track,)), Window(Fraction(1), True, None))
    paddings = [one.tracks[0].padding for one in (whole, late, early, none)]
    assert paddings == [Padding(312, 648), Padding(0, 648), Padding(312, 0), Padding(0, 0)]


def test_cover_art_is_noted(tmp_path: Path, notes: Notes) -> None:
    with_cover(tmp_path / "a.mp4", has_video=True)
    read_film(tmp_path / "a.mp4", notes)
    assert notes.lines == ["cover art is not carried"]


@pytest.mark.parametrize("video", ["libx264", "mpeg4"])
@pytest.mark.parametrize("target", ["mkv", "mp4"])
def test_sound_of_an_avi_with_b_frames_stays_in_step(
    tmp_path: Path, notes: Notes, video: str, target: str
) -> None:
    film = write_film(tmp_path / "a.avi", "libmp3lame", video=video, options={"bf": "2"})
    with av.open(str(film)) as container:
        assert container.streams.audio[0].time_base == Fraction(1152, 48000)
    clip, extras = read_film(film, notes)
    assert clip.properties.frame_rate == 25 and clip.properties.timestamps is None and notes.lines == []
    (track,) = extras.tracks
    first = track.packets[0].pts * track.info.time_base
    assert first == -clip.window.start
    again = write_film_again(tmp_path / f"b.{target}", clip, extras, notes)
    flash, onset = flash_and_onset(again)
    before = flash_and_onset(film)
    assert abs((flash - onset) - (before[0] - before[1])) < FRAME_SECONDS / 2


EXTREMES = st.sampled_from((0, 1, 312, 48_000, (1 << 31) - 1, (1 << 32) - 1))
UNITS = (Fraction(1, 1000), Fraction(1, 48_000), Fraction(1152, 44_100), Fraction(1, (1 << 32) - 1))
TIMES = st.integers(-(1 << 60) + 1, (1 << 60) - 1) | st.integers(-2000, 2000)


@settings(deadline=None, derandomize=True, database=None, max_examples=60)
@given(
    codec=st.sampled_from(("opus", "aac", "mp3", "pcm_s16le", "vorbis")),
    suffix=st.sampled_from(("mkv", "mp4", "webm")),
    padding=st.builds(Padding, EXTREMES, EXTREMES),
    rate=EXTREMES,
    unit=st.sampled_from(
        (Fraction(1, 1000), Fraction(1, 48_000), Fraction(1152, 44_100), Fraction(1, 2**32 - 1))
    ),
    times=st.lists(TIMES, max_size=4),
    header=st.binary(max_size=24),
)
def test_no_padding_of_a_strange_file_breaks_the_writer(
    codec: str,
    suffix: str,
    padding: Padding,
    rate: int,
    unit: Fraction,
    times: list[int],
    header: bytes,
) -> None:
    info = TrackInfo(TrackKind.AUDIO, codec, unit, {}, rate, "stereo", extradata=header)
    packets = tuple(Packet(time, time, 20, True, bytes(40)) for time in sorted(times))
    with tempfile.TemporaryDirectory() as folder, suppress(OutputError):
        write_black(Path(folder) / f"a.{suffix}", Extras((Track(info, packets, padding),)), Notes())
