"""Side data that decoders attach to frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from av import VideoFrame
from av.sidedata.sidedata import SideData, SideDataContainer, Type

NOT_CARRIED = {
    Type.AMBIENT_VIEWING_ENVIRONMENT: "the ambient viewing environment of HDR video",
    Type.DYNAMIC_HDR_PLUS: "HDR10+ metadata",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid metadata",
    Type.DOVI_METADATA: "Dolby Vision metadata",
    Type.DOVI_RPU_BUFFER: "Dolby Vision metadata",
    Type.A53_CC: "closed captions",
    Type.ICC_PROFILE: "an ICC colour profile",
    Type.SPHERICAL: "the projection of spherical video",
    Type.STEREO3D: "the arrangement of stereo 3D",
    Type.FILM_GRAIN_PARAMS: "film grain parameters",
}
"""Names, for notes, of side data that affects display and that an .inrv cannot carry."""


def _unnamed(kind: type[Type], value: int) -> Type:
    """A `Type` for side data that FFmpeg knows and this PyAV does not, such as Exif."""
    if not isinstance(value, int):
        raise ValueError(f"{value!r} is not a kind of side data")
    member = object.__new__(kind)
    member._name_ = f"KIND_{value}"
    member.__dict__["_value_"] = value
    return member


# Otherwise PyAV raises for such a kind as soon as any side data of the frame is accessed. Every photograph
# with Exif would be refused, and its display matrix would be out of reach.
setattr(Type, "_missing_", classmethod(_unnamed))  # noqa: B010


def side_data(frame: VideoFrame) -> Iterator[SideData]:
    """All side data of the frame."""
    return iter(cast(SideDataContainer, frame.side_data))
