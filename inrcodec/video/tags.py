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


def carried_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags that stay true in another container."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _OF_THE_CONTAINER
        and not key.lower().startswith(_STATISTICS)
        and (key, value) != ("language", "und")
    }
