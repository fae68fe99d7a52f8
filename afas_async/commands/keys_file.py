"""The file of keys: `inspect --all` writes it, and the commands that read rows take their keys from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
import typer

from afas_async.commands.naming import PROGRAM
from afas_async.commands.options import KEY_NOTATION, key_fields
from afas_async.errors import UsageError

NAME: Final = "afas-keys.json"
KeysOption: TypeAlias = Annotated[
    Path,
    typer.Option(
        metavar="FILE", envvar="AFAS_KEYS", help="The file of keys that `inspect --all` wrote.", show_envvar=True
    ),
]
KeyOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar=KEY_NOTATION, help="The key, in place of the one in the file of keys.")
]


def read_keys(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the keys of connectors by name; empty if the file does not exist.

    Raises:
        UsageError: If the file is malformed.
        OSError: If it cannot be read.
    """
    if not path.exists():
        return {}
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, str | list[str]])
    except msgspec.DecodeError as error:
        raise UsageError(f'{path}: expected {{"NAME": "FIELD" or ["FIELD", ...]}}: {error}') from None
    return {name: (key,) if isinstance(key, str) else tuple(key) for name, key in found.items()}


def write_keys(path: Path, keys: Mapping[str, tuple[str, ...]]) -> None:
    """Write the keys of connectors, one on each line.

    Raises:
        OSError: If the file cannot be written.
    """
    lines = [
        f"  {json.dumps(name)}: {json.dumps(key[0] if len(key) == 1 else list(key))}" for name, key in keys.items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def key_of(name: str, typed: str | None, path: Path) -> tuple[str, ...]:
    """Return the key of a connector: the typed one, or the one in the file.

    Raises:
        UsageError: If both are missing. The message says how to find a key.
    """
    if key := key_fields(typed) or read_keys(path).get(name, ()):
        return key
    raise UsageError(
        f"{name}: give its --key {KEY_NOTATION}, which `{PROGRAM} inspect {name}` proposes, or write a file of keys"
        f" with `{PROGRAM} inspect --all`"
    )
