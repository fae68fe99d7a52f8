"""A process that forks with a journal open: `python -m tests.support.forked_journal PATH HOW`."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path

from afas_async import JournalError
from afas_async.write.journal import Journal
from tests.support.journals import LOAD, pieces


def run(path: Path, how: str) -> None:
    """Note a call, fork, note another one after the child has ended, and die.

    Args:
        path: The journal.
        how: What the child does: it ends by "sys.exit"; or lets the journal be "collected", and before is "refused"
            when it uses it.
    """
    asyncio.run(_note_and_die(path, how))


async def _note_and_die(path: Path, how: str) -> None:
    journal = Journal(path, LOAD)
    journal.begin(0, pieces(0))
    child = os.fork()
    if not child:
        if how == "sys.exit":
            sys.exit()
        if how == "refused":
            _use(journal)
        del journal
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0  # noqa: ASYNC222 - there is nothing else to do
    journal.begin(1, pieces(1))
    os.kill(os.getpid(), signal.SIGKILL)


def _use(journal: Journal) -> None:
    try:
        journal.begin(1, pieces(1))
    except JournalError:
        journal.close()
    else:
        os._exit(1)


def run_with_heir(path: Path, until: Path) -> None:
    """Open a journal, and die while a forked child lives.

    Args:
        path: The journal.
        until: A named pipe: the child ends when somebody has opened and closed it for writing.
    """
    journal = Journal(path, LOAD)
    lives, says = os.pipe()
    if not os.fork():
        os.write(says, b"x")
        until.read_bytes()
        os._exit(0)
    os.read(lives, 1)
    os.kill(os.getpid(), signal.SIGKILL)
    journal.close()


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2])
