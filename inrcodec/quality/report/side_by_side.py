"""The part of a page that shows ordinary codecs beside our files, at no more bytes than ours."""

from __future__ import annotations

from collections.abc import Sequence

from inrcodec.quality.report.evidence import Evidence, SideBySide, Table
from inrcodec.quality.report.gallery import shape_of, viewer
from inrcodec.quality.report.markup import Markup, element, folded, joined, table

_NONE = "–"


def side_by_side_section(evidence: Evidence) -> Markup | None:
    """The table of `side_by_side_table`, and a viewer for each of our files; None for a page without them."""
    sides = evidence.side_by_side
    if not sides:
        return None
    shown = side_by_side_table(sides)
    kept = "lossless WebP" if sides[0].pictures.is_lossless else "high-quality JPEGs"
    note = (
        "Every codec has the rate factor whose stream comes closest to the bytes of our file without "
        "exceeding them. PSNR is the mean over all frames in the table, and that of the frame under a "
        "picture. The worst frame is the one of our file with the lowest PSNR. "
        f"The pictures of this part are {kept}."
    )
    return joined(
        *(_viewer(side, shape_of(evidence), number) for number, side in enumerate(sides, 1)),
        folded(shown.title, table(list(shown.head), [list(row) for row in shown.rows])),
        element("p", note, class_="note"),
    )


def _viewer(side: SideBySide, shape: float, number: int) -> Markup:
    names = [f"{one.name}, {one.file_bytes:,} bytes" for one in side.streams]
    return folded(side.file, viewer(names, side.pictures, shape, str(number)), is_open=number == 1)


def side_by_side_table(sides: Sequence[SideBySide]) -> Table:
    """One row per stream: each of our files is followed by the codecs at its bytes."""
    head = ("codec", "setting", "bytes", "of our bytes", "PSNR, dB", "ours against it")
    return Table(
        "Bytes and PSNR",
        head,
        tuple(
            (
                one.name,
                one.setting,
                f"{one.file_bytes:,}",
                f"{one.file_bytes / side.streams[0].file_bytes:.1%}",
                f"{one.psnr_db:.2f}",
                _NONE if one is side.streams[0] else f"{side.streams[0].psnr_db - one.psnr_db:+.2f} dB",
            )
            for side in sides
            for one in side.streams
        ),
    )
