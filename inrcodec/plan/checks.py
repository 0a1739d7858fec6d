"""Whether an encode can do what is asked of it; else `UsageError`. Free of torch."""

from __future__ import annotations

from inrcodec.errors import UsageError
from inrcodec.models.family import AnyFamily
from inrcodec.models.registry import family_of
from inrcodec.settings.encode import EncodeSettings, check_exclusive, check_procedure, check_workers
from inrcodec.settings.presets import PRESETS
from inrcodec.system.files import check_output_file, check_paths


def check_settings(settings: EncodeSettings) -> None:
    """Raise `UsageError` for what can be of no source."""
    check_exclusive(settings)
    check_procedure(settings)
    check_family(family_of(settings), settings)
    check_workers(settings)
    if not 0 <= settings.seed < 1 << 64:
        raise UsageError(f"--seed: expected 0 to 2^64-1, found {settings.seed}")


def check_source(source: str, output: str, settings: EncodeSettings) -> None:
    """Raise `UsageError` for what cannot be, before any work, of these paths."""
    check_paths(source, output, may_be_piped=True)
    if settings.mask is not None:
        check_paths(settings.mask, output)
    check_output_file(output, settings.overwrite)


def check_family(family: AnyFamily, settings: EncodeSettings) -> None:
    """Raise `UsageError` for an option that the family has no use for."""
    if family.is_trained:
        return
    if PRESETS[settings.preset].minmax is not None:
        raise UsageError(
            f"--preset {settings.preset} is a way to train a network, which {family.name} is not; choose "
            "another preset, or another --model"
        )
    if settings.mask is not None:
        raise UsageError(f"{family.name} codes every pixel; --mask needs another --model")
    for name, value in settings.of_training.items():
        if value is not None:
            raise UsageError(f"{family.name} has a fit of its own; {name} needs another --model")
