"""The program and its commands by purpose. Each command is loaded when you use it, so `--help` is fast."""

from __future__ import annotations

import inspect
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from afas_async.commands.json_log import switch_json_log
from afas_async.commands.naming import INTERRUPTED, PROGRAM, SCRIPT, USAGE

LOOK: Final = "Look"
READ: Final = "Read"
WRITE: Final = "Write"
START: Final = "Start"

# The list that `--help` shows. Each command has a module of its name, with a function `command` for its options.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "ping": (LOOK, "Check your credential, the environment and the connection."),
    "connectors": (LOOK, "List the connectors that your token may use."),
    "fields": (LOOK, "List the fields of a connector, with types, lengths and codes."),
    "inspect": (LOOK, "Propose keys for a connector or all of them, or test one."),
    "version": (LOOK, "Show the version of Profit and of this program."),
    "rows": (READ, "Read rows: as a table, as lines of JSON, or into a file."),
    "changes": (READ, "Read the rows modified since your last run."),
    "sync": (READ, "Keep a copy of a connector up to date in DuckDB or PostgreSQL."),
    "export": (READ, "Write many connectors to files, several at a time."),
    "file": (READ, "Download a file of a dossier item."),
    "subject": (READ, "Download an attachment of a dossier item by its number."),
    "image": (READ, "Download an image."),
    "report": (READ, "Download a report."),
    "load": (WRITE, "Insert, update or delete a record for each line of a file."),
    "journal": (WRITE, "Show the outcomes of a load, and settle unknown ones."),
    "models": (START, "Write typed models of connectors as a Python module."),
    "simulate": (START, "Serve a simulated AFAS Profit on this computer."),
    "demo": (START, "Read a large connector from a simulator, and check the result."),
}

_SETTINGS: Final = {"help_option_names": ["-h", "--help"]}


class _Command(TyperCommand):
    """A command. Its help shows no type for `--help`, as for other switches."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option."""
        return _switch(super().get_help_option(ctx))


class _Commands(TyperGroup):
    """The commands. Listing them imports none; a command is imported when you call it."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option."""
        return _switch(super().get_help_option(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and report an interruption."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("\ninterrupted", file=sys.stderr)
            return INTERRUPTED

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the arguments name, with all of its options."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else _loaded(name), rest


def invoke(arguments: list[str]) -> int:
    """Run a command, and return its exit status.

    Raises:
        TyperException: If the arguments make no sense. Its text is one line that names the help.
        Exception: What the command raises.
    """
    try:
        status = _program().main(arguments or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        raise _in_one_line(error) from None
    return int(status or 0) if arguments else USAGE


def _program() -> Any:
    app = typer.Typer(
        cls=_Commands,
        context_settings=_SETTINGS,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    app.callback(help=_flowing(inspect.getdoc(_root)))(_root)
    for name, (panel, what) in COMMANDS.items():
        app.command(name, help=what, rich_help_panel=panel)(_listed)
    return _plain(get_command(app))


def _loaded(name: str) -> Any:
    module = import_module(f"afas_async.commands.{name}")
    app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    help_text = _flowing(inspect.getdoc(module.command))
    epilog = _escaped(getattr(module, "EPILOG", "")) or None
    app.command(name, cls=_Command, help=help_text, context_settings=_SETTINGS, epilog=epilog)(module.command)
    return _plain(get_command(app))


def _flowing(text: str | None) -> str:
    """Return a docstring with each paragraph on one line, so that it fills any width."""
    return _escaped("\n\n".join(" ".join(part.split()) for part in (text or "").split("\n\n")))


def _escaped(text: str) -> str:
    """Return a text with its brackets escaped: they hold lists of fields, not markup."""
    return text.replace("[", "\\[")


def _plain(built: Any) -> Any:
    """Hide the type of switches, which take no value."""
    for parameter in built.params:
        _switch(parameter)
    return built


def _switch(parameter: Any) -> Any:
    if getattr(parameter, "is_flag", False):
        parameter.metavar = ""
    return parameter


def _listed() -> None:
    """Stand in for a command in the list."""


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the value
    if wanted:
        from afas_async.vocabulary.version import __version__  # noqa: PLC0415 - an option that ends the program

        print(f"{SCRIPT} {__version__}")
        raise typer.Exit


def _root(
    *,
    env_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read AFAS_* variables from this file, unless they are set."),
    ] = None,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log each request and step as a line of JSON to standard error.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version of this program.")
    ] = False,
) -> None:
    """Look into AFAS Profit, read from it and write to it.

    Set your environment in variables: AFAS_TOKEN (or AFAS_CLIENT_ID and AFAS_CLIENT_SECRET), and AFAS_ENVIRONMENT (with
    AFAS_ENVIRONMENT_TYPE) or AFAS_BASE_URL. With --simulator you try most commands without them.
    """
    if env_file is not None:
        from afas_async.commands.env_file import read_env_file  # noqa: PLC0415 - most calls have none

        for name, value in read_env_file(env_file).items():
            os.environ.setdefault(name, value)
    switch_json_log(on=log_json)


def _in_one_line(error: typer.TyperException) -> typer.TyperException:
    """Return a usage error on one line: the command, the fault, and where to find help."""
    context = getattr(error, "ctx", None)
    path = PROGRAM if context is None else context.command_path
    text, *picture = error.format_message().split("\n\n", 1)
    text = " ".join(text.split()).rstrip(".")
    where = path.removeprefix(PROGRAM).strip()
    found = typer.TyperException(
        f"{where + ': ' if where else ''}{text} (see {path} --help)" + "".join(f"\n\n{each}" for each in picture)
    )
    found.exit_code = USAGE
    return found
