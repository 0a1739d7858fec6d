"""Cropping that a container asks for; decoders leave it to their callers."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray


class Cropping(NamedTuple):
    """Pixels that the container removes from each side of the stored frames."""

    left: int
    right: int
    top: int
    bottom: int

    def within(self, height: int, width: int) -> Cropping:
        """This cropping, or none for frames that would have no pixels left."""
        is_possible = self.left + self.right < width and self.top + self.bottom < height
        return self if is_possible else NO_CROPPING

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that are left of a frame."""
        return height - self.top - self.bottom, width - self.left - self.right

    def cut(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """The part that is left of `pixels` (height, width, ...), as a view."""
        height, width = self.shape(*pixels.shape[:2])
        return pixels[self.top : self.top + height, self.left : self.left + width]


NO_CROPPING = Cropping(0, 0, 0, 0)
