"""The file of keys, which `inspect --all` writes and the commands that read rows take their keys from."""

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
        metavar="FILE", envvar="AFAS_KEYS", help="The file of keys that `inspect --all` has written.", show_envvar=True
    ),
]
KeyOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar=KEY_NOTATION, help="The key, in place of that in the file of keys.")
]


def read_keys(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the keys of connectors by their names; none if there is no such file.

    Raises:
        UsageError: If it is no such file.
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
        OSError: If they cannot be written.
    """
    lines = [
        f"  {json.dumps(name)}: {json.dumps(key[0] if len(key) == 1 else list(key))}" for name, key in keys.items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def key_of(name: str, typed: str | None, path: Path) -> tuple[str, ...]:
    """Return the key of a connector: the one that was typed, or that of the file.

    Raises:
        UsageError: If there is none, and how to find one.
    """
    if key := key_fields(typed) or read_keys(path).get(name, ()):
        return key
    raise UsageError(
        f"{name}: give its --key {KEY_NOTATION}, which `{PROGRAM} inspect {name}` proposes, or a file of keys, which"
        f" `{PROGRAM} inspect --all` writes"
    )
