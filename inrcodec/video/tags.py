"""Tags of a source: which of them stay true in another container."""

from __future__ import annotations

from collections.abc import Mapping

_OF_THE_CONTAINER = frozenset(
    {"encoder", "software", "major_brand", "minor_version", "compatible_brands", "handler_name", "vendor_id"}
    | {"duration", "uid", "generation_uid", "company_name", "application_platform", "operational_pattern_ul"}
    | {"material_package_umid", "file_package_umid", "modification_date"}
)
"""Tags that describe the container itself and must not be copied into another one."""
_STATISTICS = ("_statistics_", "bps", "number_of_", "product_", "toolkit_")
"""Prefixes of the tags that mkvmerge computes and of those that name the program that wrote an MXF."""
_FIXED = {
    "mp4": frozenset(
        {"title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright"}
        | {"grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords"}
        | {"episode_sort", "season_number", "media_type", "hd_video", "gapless_playback", "compilation"}
        | {"track", "disc", "creation_time"}
    ),
    "mov": frozenset(
        {"title", "artist", "album", "date", "comment", "genre", "copyright", "creation_time"}
        | {"location", "make", "model"}
    ),
}
"""Tags with a place of their own in these containers, which FFmpeg fills."""
_PLACE = "com.apple.quicktime.location.ISO6709"
"""QuickTime's name for `location` in a list of names and values, where FFmpeg writes no `location`."""


def carried_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags that stay true in another container."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _OF_THE_CONTAINER
        and not key.lower().startswith(_STATISTICS)
        and (key, value) != ("language", "und")
    }


def stream_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags of a stream that stay true in another container; FFmpeg calls the title in an .mp4 `name`."""
    tags = carried_tags(metadata)
    return {"title" if key == "name" and "title" not in tags else key: tag for key, tag in tags.items()}


def needs_named_tags(tags: Mapping[str, str], container: str) -> bool:
    """Whether an .mp4 or .mov holds these tags only in a list of names and values, QuickTime's `mdta`."""
    return container in _FIXED and any(key.lower() not in _FIXED[container] for key in tags)


def named_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags by the names that they have in such a list."""
    return {_PLACE if key == "location" and _PLACE not in tags else key: tag for key, tag in tags.items()}
