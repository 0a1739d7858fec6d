"""Checks for what RGB frames of one size cannot hold: it is refused, or noted in one line each."""

from __future__ import annotations

from fractions import Fraction

from av import VideoFrame

from inrcodec.errors import NotAVideo
from inrcodec.progress import Progress
from inrcodec.samples import DEPTHS, coded_depth
from inrcodec.settings.source import SourceSettings
from inrcodec.video.color import color_tags, hdr_name, is_convertible
from inrcodec.video.deep import bits_of
from inrcodec.video.geometry import TRANSPARENCY_NOTE, Turn, display_turn, is_transparent, unturned
from inrcodec.video.light import Light
from inrcodec.video.side_data import NOT_CARRIED, side_data


class AspectCheck:
    """Notes once that the pixels of a video change their aspect ratio."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._first: Fraction | None = None
        self._is_noted = False

    def check(self, ratio: Fraction | None) -> None:
        """Check the ratio of the frames decoded last, width over height; None is unknown, as good as 1."""
        ratio = ratio or Fraction(1)
        self._first = self._first or ratio
        if ratio != self._first and not self._is_noted:
            self._is_noted = True
            self._progress.note(
                f"the pixel aspect ratio changes from {self._first} to {ratio}: all frames get the first"
            )


class FrameChecks:
    """Checks the frames of one video as they are read, and notes each finding once."""

    def __init__(self, path: str, source: SourceSettings, progress: Progress) -> None:
        self._path, self._source, self._progress = path, source, progress
        self._said: set[str] = set()
        self._format = ""
        self._size: tuple[int, int] | None = None
        self._depth = 0
        """Bits per sample that are coded, by the first frame; 0 before it."""
        self.light = Light()
        """Mastering display and light levels of the frames so far."""

    def check(self, number: int, frame: VideoFrame) -> tuple[Turn, bool]:
        """Check frame `number` of the file; return how to turn it, and whether that swaps width and height.

        Raises `NotAVideo` for a frame that cannot be coded, or not together with those before it.
        """
        if frame.format.name != self._format:
            self._check_format(frame)
            self._format = frame.format.name
        turn, is_sideways = self._turn(frame)
        size = (frame.height, frame.width) if is_sideways else (frame.width, frame.height)
        if self._size is not None and size != self._size:
            raise NotAVideo(
                f"{self._path} changes its size from {self._size[0]}x{self._size[1]} to "
                f"{size[0]}x{size[1]} at frame {number}; only videos of one size are supported"
            )
        self._size = size
        self._tell_what_is_lost(number, frame)
        return turn, is_sideways

    def _check_format(self, frame: VideoFrame) -> None:
        self._check_depth(bits_of(frame.format))
        tags = color_tags(frame)
        if not is_convertible(tags):
            raise NotAVideo(f"{self._path} uses colour matrix {tags.matrix} (H.273), which is not supported")
        if hdr_name(tags) is not None and self._depth == 8:
            self._tell(f"{hdr_name(tags)} video is coded with 8 bits per sample; its colour tags are kept")

    def _check_depth(self, bits: int) -> None:
        """Note samples that are coded with fewer bits than they have, unless `bit_depth` asks for that."""
        asked = self._source.bit_depth
        if self._depth == 0:
            self._depth = min(coded_depth(bits), asked or DEPTHS[-1])
            if asked is not None and asked > self._depth:
                self._tell(f"the source has {bits} bits per sample, so frames are coded with {self._depth}")
        if bits > self._depth and asked != self._depth:
            self._tell(f"samples of {bits} bits are coded with {self._depth}")

    def _turn(self, frame: VideoFrame) -> tuple[Turn, bool]:
        try:
            return display_turn(frame)
        except ValueError as error:
            self._tell(f"{error}: frames are coded as stored")
            return unturned, False

    def _tell_what_is_lost(self, number: int, frame: VideoFrame) -> None:
        self.light.add(side_data(frame))
        for data in side_data(frame):
            if data.type in NOT_CARRIED:
                self._tell(f"{NOT_CARRIED[data.type]} is not carried".replace("s is not", "s are not"))
        if "transparency" not in self._said and is_transparent(frame):
            self._said.add("transparency")
            self._tell(TRANSPARENCY_NOTE)
        if frame.interlaced_frame:
            self._tell("interlaced video is coded as whole frames; the order of fields is lost")
        if frame.is_corrupt and "damage" not in self._said:
            self._said.add("damage")
            self._tell(
                f"the input is damaged: the decoder guessed parts of frame {number} and maybe of others"
            )

    def _tell(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._progress.note(line)
