"""Text of strangers, made harmless for terminals and pages."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with unprintable characters replaced: text from a file must not control what shows it.

    These are control characters (escape sequences, line feeds), characters that change the direction of
    writing, invisible and unassigned ones, and surrogates.
    """
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
