"""The program: its commands by what they are for, each loaded when it is used, so that `--help` answers at once."""

from __future__ import annotations

import inspect
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from afas_async.commands.json_log import switch_json_log
from afas_async.commands.naming import INTERRUPTED, PROGRAM, SCRIPT, USAGE

LOOK: Final = "Look"
READ: Final = "Read"
WRITE: Final = "Write"
START: Final = "Start"

# Each command has a module of its name, whose `command` has its options; here stands what `--help` lists.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "ping": (LOOK, "Check the credential, the environment and the connection."),
    "connectors": (LOOK, "List the connectors that the token may use."),
    "fields": (LOOK, "List the fields of a connector, with types, lengths and codes."),
    "inspect": (LOOK, "Propose or test the key of a connector, or of all of them."),
    "version": (LOOK, "Show the version of Profit and of this program."),
    "rows": (READ, "Read rows: as a table, as lines, or into a file."),
    "changes": (READ, "Read the rows that were modified since the last run."),
    "sync": (READ, "Keep a copy of a connector in DuckDB or PostgreSQL up to date."),
    "export": (READ, "Write many connectors into files, several at a time."),
    "file": (READ, "Write a file of a dossier item to the disk."),
    "subject": (READ, "Write an attachment of a dossier item to the disk."),
    "image": (READ, "Write an image to the disk."),
    "report": (READ, "Write a report to the disk."),
    "load": (WRITE, "Insert, update or delete a record for each line of a file."),
    "journal": (WRITE, "Show what became of a load, and settle what is unknown."),
    "models": (START, "Write typed models of connectors as a Python module."),
    "simulate": (START, "Serve a simulated AFAS Profit on this computer."),
    "demo": (START, "Read a large connector, and check the result."),
}

_SETTINGS: Final = {"help_option_names": ["-h", "--help"]}


class _Commands(TyperGroup):
    """The commands: the list is known without them, and a command is imported once it is called."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and say that it was interrupted where it was."""
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
        TyperException: If the arguments make no sense; its text is one line that says where help is.
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
    app.command(
        name, help=help_text, context_settings=_SETTINGS, epilog=_escaped(getattr(module, "EPILOG", "")) or None
    )(module.command)
    return _plain(get_command(app))


def _flowing(text: str | None) -> str:
    """Return a docstring whose paragraphs have no line ends of their own, so that they fill any width."""
    return _escaped("\n\n".join(" ".join(part.split()) for part in (text or "").split("\n\n")))


def _escaped(text: str) -> str:
    """Return a text in which brackets are no markup: lists of fields are written in them."""
    return text.replace("[", "\\[")


def _plain(built: Any) -> Any:
    """Show no type for a switch, which takes no value."""
    for parameter in built.params:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return built


def _listed() -> None:
    """Stand for a command in the list."""


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the value
    if wanted:
        from afas_async.vocabulary.version import __version__  # noqa: PLC0415 - an option that ends the program

        print(f"{SCRIPT} {__version__}")
        raise typer.Exit


def _root(
    *,
    env_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take the AFAS_* variables from this file, where they are not set."),
    ] = None,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Write each request and each step as a line of JSON to standard error.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version of this program.")
    ] = False,
) -> None:
    """Everything that an operator does with AFAS Profit: look, read, write.

    The credential and the environment come from variables, never from arguments: AFAS_TOKEN (or AFAS_CLIENT_ID and
    AFAS_CLIENT_SECRET), and AFAS_ENVIRONMENT (with AFAS_ENVIRONMENT_TYPE) or AFAS_BASE_URL.
    """
    if env_file is not None:
        from afas_async.commands.env_file import read_env_file  # noqa: PLC0415 - few give one

        for name, value in read_env_file(env_file).items():
            os.environ.setdefault(name, value)
    switch_json_log(on=log_json)


def _in_one_line(error: typer.TyperException) -> typer.TyperException:
    """Return a usage error with the command, what is wrong, and where help is."""
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
