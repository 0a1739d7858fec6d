"""Options of the command line in groups, as decorators of click commands."""

from __future__ import annotations

from collections.abc import Callable

import click

from inrcodec.settings import FEWEST_BITS, LOSSES, MOST_BITS, MOST_PRUNED

_BITS = click.IntRange(FEWEST_BITS, MOST_BITS)


def procedure_options(command: Callable[..., None]) -> Callable[..., None]:
    """--loss, --prune, --weight-bits and --embedding-bits; what is not given is as the preset has it."""
    for option in (
        click.option("--embedding-bits", type=_BITS, help="Of a value of an embedding: --preset paper."),
        click.option("--weight-bits", type=_BITS, help="Of a weight, by min and max: --preset paper."),
        click.option(
            "--prune",
            type=click.FloatRange(0, MOST_PRUNED),
            help="Share of the weights, the smallest, to set to zero.",
        ),
        click.option("--loss", type=click.Choice(list(LOSSES)), help="What to minimise.  [default: l2]"),
    ):
        command = option(command)
    return command
