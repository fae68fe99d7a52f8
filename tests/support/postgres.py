"""A PostgreSQL of the tests' own: on a socket in a temporary folder, started from the installed programs."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

USER = "nobody"


def _as_user(*command: str) -> list[str]:
    """PostgreSQL does not run as root."""
    return ["setpriv", f"--reuid={USER}", "--clear-groups", *command] if os.geteuid() == 0 else [*command]


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server until the block ends, and yield its URI."""
    missing = [name for name in ("initdb", "pg_ctl") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"PostgreSQL is not installed: there is no {' and no '.join(missing)}")
    with TemporaryDirectory(dir="/tmp") as folder:
        data, user = Path(folder, "data"), USER if os.geteuid() == 0 else getpass.getuser()
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        _run("initdb", "-D", str(data), "-A", "trust", "-U", user, "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        _run("pg_ctl", "-D", str(data), "-l", f"{folder}/log", "-o", options, "-w", "start")
        try:
            yield f"postgresql://{user}@/postgres?host={folder}"
        finally:
            _run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")


def _run(*command: str) -> None:
    subprocess.run(_as_user(*command), check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
