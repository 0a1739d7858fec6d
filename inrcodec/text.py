"""Text for people: numbers with nouns, and text of strangers made harmless for terminals and pages."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with unprintable characters replaced: text from a file must not control what shows it.

    These are control characters (escape sequences, line feeds), characters that change the direction of
    writing, invisible and unassigned ones, and surrogates.
    """
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def counted(count: float, noun: str) -> str:
    """The number with its noun, which takes an s unless the number is 1: `1 frame`, `2,000 frames`."""
    number = f"{count:,}" if isinstance(count, int) else f"{count:g}"
    return f"{number} {noun}{'' if count == 1 else 's'}"
