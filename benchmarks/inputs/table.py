"""Table of input files: how to make each one, and the expected result of encoding it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from benchmarks.inputs import makers as make
from benchmarks.inputs.makers import Maker, Tags, video

WIDE_GAMUT_PQ, WIDE_GAMUT_HLG = Tags(9, 16, 9), Tags(9, 18, 9)
UNEVEN = (0, 40, 300, 310, 900)
COARSE = (0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14)
NO_VIDEO = "is not a video"
IMAGES = "images have no frame rate; 25 fps is assumed"
DAMAGED = "the input is damaged"
QUIET_X265 = {"x265-params": "log-level=none"}


@dataclass(frozen=True)
class InputFile:
    """One input; by default it is accepted without notes and has 48x32 pixels and 5 frames at 25 fps."""

    name: str
    """Special property of the input."""
    file: str
    make: Maker
    size: tuple[int, int] = (48, 32)
    """Displayed width and height, after rotation."""
    frames: int = 5
    rate: Fraction = Fraction(25)
    """Frames per second; the mean for irregular timestamps."""
    is_irregular: bool = False
    times: tuple[int, ...] | None = None
    """Milliseconds of each frame, where they are not the source's."""
    lasts: Fraction | None = None
    """Duration of the last frame, seconds; None if it is 1 / `rate`."""
    notes: tuple[str, ...] = ()
    """Beginnings of the expected notes, in order."""
    refusal: tuple[int, str] | None = None
    """Exit code, and text that the one-line error contains."""
    options: tuple[str, ...] = ()
    """Options of the encode."""
    output: str = "out.mp4"
    """File name of the decoded video."""
    least_output_db: float = 36.0
    """Minimum PSNR of the decoded video against the frames of the .inrv; a wrong range or matrix fails it."""
    is_piped: bool = False
    sound: str | None = None
    """Codec of the audio in the output."""
    stream: int = 0
    """Index of the coded stream among PyAV's video streams."""


CODECS = (
    InputFile("H.264 4:2:0", "a.mp4", video),
    InputFile("H.264 4:2:2", "a.mov", partial(video, pixel_format="yuv422p")),
    InputFile("H.264 RGB", "a.mkv", partial(video, codec="libx264rgb", pixel_format="rgb24")),
    InputFile("H.264 without a container", "a.h264", video),
    InputFile(
        "HEVC", "a.mp4", partial(video, codec="libx265", size=(64, 64), options=QUIET_X265), (64, 64)
    ),
    InputFile("VP8", "a.webm", partial(video, codec="libvpx")),
    InputFile("VP9, odd size", "a.webm", partial(video, codec="libvpx-vp9", size=(33, 21)), (33, 21)),
    InputFile("VP9", "a.ivf", partial(video, codec="libvpx-vp9")),
    InputFile("AV1", "a.mp4", partial(video, codec="libsvtav1", size=(64, 64)), (64, 64)),
    InputFile("MPEG-4", "a.avi", partial(video, codec="mpeg4")),
    InputFile("MPEG-2", "a.ts", partial(video, codec="mpeg2video")),
    InputFile("MPEG-2", "a.mxf", partial(video, codec="mpeg2video")),
    InputFile("MPEG-1", "a.mpg", partial(video, codec="mpeg1video")),
    InputFile("Motion JPEG, full range", "a.avi", partial(video, codec="mjpeg", pixel_format="yuvj420p")),
    InputFile("FFV1 grey", "a.mkv", partial(video, codec="ffv1", pixel_format="gray")),
    InputFile("FFV1 4:4:4", "a.nut", partial(video, codec="ffv1", pixel_format="yuv444p")),
    InputFile("PNG", "a.mov", partial(video, codec="png", pixel_format="rgb24")),
    InputFile(
        "GIF", "a.gif", partial(video, codec="gif", pixel_format="rgb8", rate=10), rate=Fraction(10)
    ),
    InputFile("raw NV12", "a.nut", partial(video, codec="rawvideo", pixel_format="nv12")),
    InputFile("raw 4:2:0", "a.avi", partial(video, codec="rawvideo")),
    InputFile("Huffyuv 4:2:2", "a.avi", partial(video, codec="huffyuv", pixel_format="yuv422p")),
    InputFile("Ut Video, planar RGB", "a.avi", partial(video, codec="utvideo", pixel_format="gbrp")),
    InputFile("QuickTime animation", "a.mov", partial(video, codec="qtrle", pixel_format="rgb24")),
    InputFile("JPEG 2000", "a.mov", partial(video, codec="jpeg2000", pixel_format="rgb24")),
    InputFile("Sorenson Spark", "a.flv", partial(video, codec="flv")),
    InputFile("Windows Media 8", "a.asf", partial(video, codec="wmv2")),
    InputFile("YUV4MPEG", "a.y4m", partial(video, codec="wrapped_avframe")),
    InputFile(
        "DV, interlaced, pixel aspect 8:9", "a.avi",
        partial(
            video, codec="dvvideo", pixel_format="yuv411p", size=(720, 480), count=2,
            rate=Fraction(30000, 1001),
        ),
        (720, 480), 2, Fraction(30000, 1001), notes=("interlaced video",),
    ),
)  # fmt: skip

PIXELS = (
    InputFile("10-bit", "a.mkv", partial(video, pixel_format="yuv420p10le")),
    InputFile(
        "10-bit, reduced", "a.mkv", partial(video, pixel_format="yuv420p10le"), options=("--bit-depth", "8")
    ),
    InputFile("ProRes, 10-bit", "a.mov", partial(video, codec="prores_ks", pixel_format="yuv422p10le")),
    InputFile(
        "ProRes, reduced", "a.mov", partial(video, codec="prores_ks", pixel_format="yuv422p10le"),
        options=("--bit-depth", "8"),
    ),
    InputFile(
        "10-bit PQ", "a.mkv", partial(video, pixel_format="yuv420p10le", tags=WIDE_GAMUT_PQ)
    ),
    InputFile(
        "12-bit RGB", "a.mkv", partial(video, codec="ffv1", pixel_format="gbrp12le"),
        notes=("samples of 12 bits are coded with 10",),
    ),
    InputFile(
        "transparency", "a.mov", partial(make.transparent, codec="png"), notes=("transparency is not",)
    ),
    InputFile("opaque alpha", "a.mov", partial(video, codec="png", pixel_format="rgba")),
    InputFile(
        "interlaced", "a.mkv", partial(video, options={"x264-params": "tff=1"}), notes=("interlaced video",)
    ),
    InputFile("BT.709, limited range", "a.mp4", partial(video, tags=Tags(1, 1, 1))),
    InputFile("BT.709, full range", "a.mp4", partial(video, tags=Tags(1, 1, 1, True))),
    InputFile("BT.601", "a.mkv", partial(video, tags=Tags(6, 6, 6))),
    InputFile("BT.2020", "a.mkv", partial(video, tags=Tags(9, 14, 9))),
    InputFile("8-bit PQ", "a.mp4", partial(video, tags=WIDE_GAMUT_PQ), notes=("PQ video is coded",)),
    InputFile("8-bit HLG", "a.mp4", partial(video, tags=WIDE_GAMUT_HLG), notes=("HLG video is coded",)),
    InputFile(
        "HDR mastering metadata", "a.mkv",
        partial(
            video, codec="libx265", size=(64, 64),
            options={"x265-params": f"log-level=none:{make.MASTERING}:max-cll=1000,400"},
        ),
        (64, 64),
    ),
    InputFile("pixel aspect 4:3", "a.mp4", partial(video, ratio=Fraction(4, 3))),
    InputFile(
        "pixel aspect that changes", "a.h264",
        partial(make.joined, begins=(0, 0), ratios=(Fraction(8, 9), Fraction(4, 3))), frames=10,
        notes=("the pixel aspect ratio changes from 8/9 to 4/3",),
    ),
    InputFile("rotated by 90 degrees", "a.mp4", partial(video, degrees=90), (32, 48)),
    InputFile("rotated by 180 degrees", "a.mov", partial(video, degrees=180)),
)  # fmt: skip

SIZES = (
    InputFile(
        "1x1", "a.mkv", partial(video, codec="ffv1", pixel_format="yuv444p", size=(1, 1)), (1, 1),    ),
    InputFile("1x16", "a.mp4", partial(video, pixel_format="yuv444p", size=(1, 16)), (1, 16)),
    InputFile("16x1", "a.mp4", partial(video, pixel_format="yuv444p", size=(16, 1)), (16, 1)),
    # 4:2:0 keeps only one colour sample.
    InputFile("2x2", "a.mp4", partial(video, size=(2, 2)), (2, 2), least_output_db=25.0),
    InputFile("17x13", "a.mkv", partial(video, pixel_format="yuv444p", size=(17, 13)), (17, 13)),
    InputFile("4096x16", "a.mp4", partial(video, size=(4096, 16), count=2), (4096, 16), 2),
    InputFile("16x4096", "a.mp4", partial(video, size=(16, 4096), count=2), (16, 4096), 2),
    InputFile("new size", "a.h264", make.resized, refusal=(1, "changes its size from 48x32 to 32x32 at")),
)  # fmt: skip

TIMES = (
    InputFile("1 fps", "a.mp4", partial(video, rate=1), rate=Fraction(1)),
    InputFile("1/10 fps", "a.mp4", partial(video, rate=Fraction(1, 10)), rate=Fraction(1, 10)),
    InputFile(
        "24000/1001 fps", "a.mkv", partial(video, rate=Fraction(24000, 1001)), rate=Fraction(24000, 1001)
    ),
    InputFile("120 fps", "a.mp4", partial(video, rate=120), rate=Fraction(120)),
    InputFile(
        "variable rate", "a.mp4", partial(video, stamps=UNEVEN), rate=Fraction(40, 9), is_irregular=True
    ),
    InputFile(
        "variable rate", "a.mkv", partial(video, stamps=UNEVEN), rate=Fraction(40, 9), is_irregular=True,
        lasts=Fraction(1, 25),
    ),
    InputFile("B-frames and an edit list", "a.mp4", partial(video, options={"bf": "3"}, count=12), frames=12),
    InputFile("starts at 2 s", "a.mkv", partial(video, stamps=range(2000, 2200, 40))),
    InputFile(
        "starts before 0", "a.nut", partial(video, codec="mpeg4", stamps=range(-80, 120, 40))
    ),
    InputFile(
        "an edit list hides two frames", "a.mp4", partial(video, stamps=range(-80, 120, 40)), frames=3
    ),
    InputFile("one frame", "a.mp4", partial(video, count=1), frames=1),
    *(
        InputFile(
            "a held last frame", f"a.{name}", partial(made, stamps=(0, 1000, 3000), lasts=5000, count=3),
            frames=3, rate=Fraction(2, 3), is_irregular=True, lasts=Fraction(5), output=output,
        )
        for name, output, made in (
            ("mp4", "out.mp4", partial(video, options={"bf": "0"})),
            ("mp4", "out.mkv", partial(video, options={"bf": "0"})),
            ("mkv", "out.mov", video),
            ("mkv", "out.webm", video),
            ("webm", "out.mp4", partial(video, codec="libvpx-vp9")),
            ("gif", "out.mp4", partial(video, codec="gif", pixel_format="rgb8")),
            ("avi", "out.mp4", partial(video, codec="mpeg4")),
        )
    ),
    InputFile(
        "a constant rate and a held last frame", "a.mp4",
        partial(video, stamps=range(0, 200, 40), lasts=2000, options={"bf": "0"}), lasts=Fraction(2),
    ),
    InputFile(
        "29.97 fps in milliseconds", "a.mkv", partial(video, rate=Fraction(30000, 1001), count=30), frames=30,
        rate=Fraction(30000, 1001),
    ),
    InputFile(
        "tenths of a second", "a.mp4",
        partial(video, stamps=COARSE, unit=Fraction(1, 10), lasts=1, rate=10, count=12), frames=12,
        rate=Fraction(55, 7), is_irregular=True, lasts=Fraction(1, 10),
    ),
    InputFile(
        "a repeated timestamp", "a.mkv", partial(make.stamped, stamps=(0, 20, 60, 60, 300)),
        rate=Fraction(40, 3), is_irregular=True, times=(0, 20, 60, 61, 300), lasts=Fraction(1, 25),
        notes=("1 of 5 timestamps repeat or go back and is moved",),
    ),
    InputFile(
        "a timestamp that goes back", "a.mkv", partial(make.stamped, stamps=(0, 20, 60, 40, 300)),
        rate=Fraction(40, 3), is_irregular=True, times=(0, 20, 60, 61, 300), lasts=Fraction(1, 25),
        notes=("1 of 5 timestamps repeat or go back and is moved",),
    ),
    *(
        InputFile(
            f"times that {name}", "a.ts",
            partial(make.joined, begins=begins, codec="mpeg2video", sound="mp2", count=25), frames=50,
            times=tuple(range(0, 2000, 40)), output="out.mkv", sound="mp2",
            notes=("times begin again or jump 1 time",),
        )
        for name, begins in (("begin again", (0, 0)), ("jump by an hour", (0, 3600)), ("go back", (3600, 0)))
    ),
)  # fmt: skip

STREAMS = (
    InputFile("AAC", "a.mp4", partial(video, sound="aac", count=25), frames=25, sound="aac"),
    InputFile(
        "Opus", "a.webm", partial(video, codec="libvpx-vp9", sound="libopus", count=25), frames=25,
        output="out.webm", sound="opus",
    ),
    InputFile("PCM", "a.mov", partial(video, sound="pcm_s16le", count=25), frames=25, output="out.mov",
              sound="pcm_s16le"),
    InputFile("MP2", "a.ts", partial(video, codec="mpeg2video", sound="mp2", count=25), frames=25,
              output="out.mkv", sound="mp2"),
    InputFile("FLAC", "a.mkv", partial(video, sound="flac", count=25), frames=25, output="out.mkv",
              sound="flac"),
    InputFile("audio left out", "a.mp4", partial(video, sound="aac"), options=("--no-audio",)),
    InputFile("a chapter and a title", "a.mp4", partial(video, chapters=True)),
    InputFile("a chapter and a title", "a.mkv", partial(video, chapters=True), output="out.mkv"),
    InputFile(
        "a tape time code", "a.mov", partial(video, tape="01:00:00:00"),
        notes=("not carried: 1 data or attachment stream",),
    ),
    InputFile(
        "a subtitle font", "a.mkv", partial(video, attachment=b"font"),
        notes=("not carried: 1 data or attachment stream",),
    ),
    InputFile(
        "two videos, larger one used", "a.mkv", partial(video, others=[(20, 14)]),
        notes=("2 video streams: number 1 is used",), stream=1,
    ),
    InputFile(
        "two videos, smaller one used", "a.mkv", partial(video, others=[(20, 14)]), (20, 14),
        options=("--stream", "0"),
    ),
    InputFile("cover art beside a video", "a.mp4", partial(make.with_cover, has_video=True), sound="aac",
              notes=("cover art is not carried",)),
    InputFile(
        "cover art not marked as such", "a.mkv", partial(make.with_cover, has_video=True), sound="aac",
        notes=("2 video streams: number 1 is used",), stream=1,
    ),
    InputFile(
        "audio with cover art", "a.mp4", partial(make.with_cover, has_video=False),
        refusal=(1, f"{NO_VIDEO}: it contains only audio"),
    ),
    InputFile("audio", "a.m4a", make.sound_only, refusal=(1, f"{NO_VIDEO}: it contains only audio")),
)  # fmt: skip

PLACES = (
    InputFile("a folder of PNG", "frames", make.images, (20, 14), notes=(IMAGES,)),
    InputFile("a pattern of PNG", "frames/shot%d.png", make.images, (20, 14), notes=(IMAGES,)),
    InputFile(
        "a folder of JPEG", "frames",
        partial(make.images, suffix="jpg", codec="mjpeg", pixel_format="yuvj420p"), (20, 14), notes=(IMAGES,),
    ),
    InputFile(
        "photographs rotated by Exif", "frames",
        partial(
            make.images, suffix="jpg", codec="mjpeg", pixel_format="yuvj420p", exif=make.EXIF_QUARTER_TURN
        ),
        (14, 20), notes=(IMAGES,),
    ),
    InputFile(
        "a folder of TIFF", "frames", partial(make.images, suffix="tif", codec="tiff"), (20, 14),
        notes=(IMAGES,),
    ),
    InputFile(
        "an image", "a.png", partial(video, codec="png", pixel_format="rgb24", count=1), frames=1
    ),
    InputFile(
        "y4m on standard input", "a.y4m", partial(video, codec="wrapped_avframe"), is_piped=True
    ),
    InputFile("MP4 on standard input", "a.mp4", partial(video, sound="aac"), is_piped=True, sound="aac"),
)  # fmt: skip

DAMAGE = (
    InputFile(
        "a damaged keyframe", "a.mp4", make.damaged, (160, 96), 12,
        notes=(f"{DAMAGED}: the decoder guessed parts of frame 4",),
    ),
    InputFile(
        "a damaged keyframe", "a.ts", partial(make.damaged, codec="mpeg2video"), (160, 96), 12,
        notes=(f"{DAMAGED}: the decoder guessed parts of frame 4",),
    ),
    InputFile(
        "a packet that cannot be decoded", "a.mkv",
        partial(make.damaged, codec="mjpeg", pixel_format="yuvj420p"), (160, 96), 11, Fraction(250, 11), True,
        lasts=Fraction(1, 25), notes=(f"{DAMAGED}: 1 of its packets",),
    ),
    InputFile(
        "truncated", "a.mp4", partial(make.cut_short, share=0.5), refusal=(1, NO_VIDEO)
    ),
    InputFile(
        "truncated", "a.avi",
        partial(make.cut_short, share=0.6, codec="rawvideo", count=10), frames=5,
        notes=(f"{DAMAGED}: 1 of its packets", "the container declares 10 frames, 5 can be decoded"),
    ),
    InputFile("no frames", "a.mp4", partial(video, count=0), refusal=(1, NO_VIDEO)),
    InputFile("an empty file", "a.mp4", partial(make.content, data=b""), refusal=(1, NO_VIDEO)),
    InputFile("a playlist", "a.m3u8", partial(make.content, data=b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n"),
              refusal=(1, "inrc does not read the format hls")),
    InputFile("a concat script named like a video", "a.mp4",
              partial(make.content, data=b"ffconcat version 1.0\nfile b.mp4\n"),
              refusal=(1, "inrc does not read the format concat")),
    InputFile("text", "a.txt", partial(make.content, data=b"hello\n" * 30), refusal=(1, NO_VIDEO)),
    InputFile("text named like a video", "a.mp4", partial(make.content, data=b"hello\n" * 30),
              refusal=(1, NO_VIDEO)),
    InputFile("empty standard input", "a.y4m", partial(make.content, data=b""), is_piped=True,
              refusal=(1, f"standard input {NO_VIDEO}")),
)  # fmt: skip

INPUT_FILES = (*CODECS, *PIXELS, *SIZES, *TIMES, *STREAMS, *PLACES, *DAMAGE)
