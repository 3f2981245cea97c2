"""``pai completion``."""

import click
from click.shell_completion import get_completion_class

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import command


@command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion of commands and options for SHELL.

    Examples:
      pai completion bash > ~/.local/share/bash-completion/completions/pai
      pai completion zsh > ~/.zfunc/_pai
      pai completion fish > ~/.config/fish/completions/pai.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells that the argument allows"
    output.write(kind(ctx.find_root().command, {}, "pai", "_PAI_COMPLETE").source())
