"""Commands whose help lists options by purpose, and that answer options of other programs with ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from inrcodec.cli.hints import option_hint

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]


class GroupedOption(click.Option):
    """An option that the help lists under a heading."""

    def __init__(self, *declarations: Any, group: str = "Options", **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help lists options under their headings, in the order in which they are declared."""

    def parse_args(self, context: click.Context, words: list[str]) -> list[str]:
        try:
            return super().parse_args(context, [*words])
        except click.NoSuchOption as error:
            raise meant_instead(error, context, words) from None

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
            if record is not None:
                group = parameter.group if isinstance(parameter, GroupedOption) else "Options"
                groups.setdefault(group, []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)


def option_group(title: str) -> Callable[..., Callable[[Function], Function]]:
    """A function like `click.option` whose options the help lists under `title`."""

    def option(*names: str, **attributes: Any) -> Callable[[Function], Function]:
        return click.option(*names, cls=GroupedOption, group=title, **attributes)

    return option


def meant_instead(error: click.NoSuchOption, context: click.Context, words: list[str]) -> click.UsageError:
    """The error for an unknown option; one of another program is answered with the option that is meant."""
    # click reads -crf as -c, and -vmaf as -v and -m: name the word that was written.
    name = error.option_name
    joined = (word for word in words if word[:1] == "-" and word[1:2] != "-" and name.lstrip("-") in word)
    word = next((word for word in words if word.startswith(name)), None) or next(joined, name)
    hint = option_hint(context.info_name or "", word, words)
    if hint is None:
        return error
    return click.UsageError(f"there is no option {word.partition('=')[0]}: {hint}", context)
