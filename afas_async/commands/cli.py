"""The command line, `afas-async` or `python -m afas_async`: from arguments to an exit status."""

from __future__ import annotations

import os
import sys
from typing import Final

from afas_async.commands.naming import INTERRUPTED, NOT_ALL, PROGRAM

_NEEDED: Final = {"typer", "rich"}


def main() -> None:
    """Run the command of the process, and end the process with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command.

    Args:
        arguments: The command line without the program's name.

    Returns:
        The exit status: 0 if all went well, 1 if not, 2 if the arguments make no sense, 3 if a load leaves unknown
        outcomes, 130 after Ctrl+C.
    """
    try:
        from afas_async.commands.program import invoke  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        return _say('the command line needs typer and rich: pip install "afas-async[cli]"', NOT_ALL)
    try:
        return invoke(arguments)
    except BrokenPipeError:  # from `| head`; the rest of the buffer must not fail again at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_ALL
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        status = _status_of(error)
        if status is None:
            raise
        return _say(str(error), status)


def _status_of(error: Exception) -> int | None:
    """Return the exit status for an error of the user or the service; None for a bug in this program."""
    from typer import TyperException  # noqa: PLC0415 - as above

    from afas_async.errors import AfasError  # noqa: PLC0415 - `--help` does not need it

    if isinstance(error, TyperException):
        return error.exit_code
    process = sys.modules.get("afas_async.simulator.remote")
    known = (AfasError, OSError) if process is None else (AfasError, OSError, process.SimulatorError)
    return NOT_ALL if isinstance(error, known) else None


def _say(text: str, status: int) -> int:
    print(f"{PROGRAM}: {text}", file=sys.stderr)
    return status
