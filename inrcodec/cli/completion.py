"""`inrc completion`: the script by which a shell completes commands, options, models and presets."""

from __future__ import annotations

import click

from inrcodec.cli import console

SHELLS = ("bash", "zsh", "fish")
_HELP = """Print the script that completes commands, options, models and presets in a shell.

\b
bash   echo 'eval "$(inrc completion bash)"' >> ~/.bashrc
zsh    echo 'eval "$(inrc completion zsh)"' >> ~/.zshrc
fish   inrc completion fish > ~/.config/fish/completions/inrc.fish
"""


@click.command(help=_HELP)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is not None:
        console.print_script(found(context.find_root().command, {}, "inrc", "_INRC_COMPLETE").source())
