"""`guardian …`: finds a command by name in app/commands and runs it.

Must never import a command before it is called: `guardian --help` and a typo stay fast,
and a broken command cannot break the others. A new command is a new file in app/commands.
"""

from __future__ import annotations

import importlib
import pkgutil

import click

import app.commands


class LazyCommands(click.Group):
    """A group whose subcommands are the modules of app.commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        modules = pkgutil.iter_modules(app.commands.__path__)
        return sorted(m.name.replace("_", "-") for m in modules if not m.name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"app.commands.{cmd_name.replace('-', '_')}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"{module.__name__}.command is not a click command")
        return command


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Config Guardian: versioned configs, committed through Raft before they count."""


if __name__ == "__main__":
    main(prog_name="guardian")
