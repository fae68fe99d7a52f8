"""The lock of a file: who has it, what frees it, and what does not."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from afas_async.write.lock import FileLock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def file(path: Path) -> Path:
    """Return the lock's own file."""
    return path.with_name("file-lock")


def _refused(path: Path) -> None:
    with pytest.raises(BlockingIOError):
        FileLock(path)


def test_one_at_a_time(path: Path, file: Path) -> None:
    """A second lock is refused, in this process too, and takes nothing from the first. Later it gets its turn."""
    for _ in range(2):
        lock = FileLock(path)
        for _ in range(2):
            _refused(path)
            assert lock.is_held()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        lock.close()
        lock.close()
        assert not lock.is_held()
        assert not file.exists()


def test_reading_does_not_free_it(path: Path, file: Path) -> None:
    """POSIX locks end when the process reads the file; this lock stays."""
    path.write_bytes(b"content")
    lock = FileLock(path)
    assert path.read_bytes()
    assert file.read_bytes()
    _refused(path)
    lock.close()


def test_what_a_dead_process_has_left(path: Path, file: Path) -> None:
    """A file without a lock on it refuses nobody."""
    file.write_bytes(b"0" * 32)
    lock = FileLock(path)
    assert lock.is_held()
    _refused(path)
    lock.close()


def test_nobody_closes_it(path: Path, file: Path) -> None:
    """A lock that nobody refers to any more is free."""
    lock = FileLock(path)
    lock._file.close()  # as the collector does
    del lock
    assert file.exists()
    FileLock(path).close()
    assert not file.exists()


def test_by_another_name(path: Path) -> None:
    """A link leads to the same lock."""
    link = path.with_name("link")
    link.symlink_to(path)
    lock = FileLock(path)
    _refused(link)
    lock.close()


def test_given_free_while_the_next_one_opens_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has opened a deleted file has no lock: another one has locked the new file."""
    first, third = FileLock(path), list[FileLock]()
    opened = os.open

    def overtaken(*arguments: Any) -> int:
        monkeypatch.setattr(os, "open", opened)
        descriptor = opened(*arguments)
        first.close()
        third.append(FileLock(path))
        return descriptor

    monkeypatch.setattr(os, "open", overtaken)
    _refused(path)
    assert third[0].is_held()
    third[0].close()
    FileLock(path).close()


def test_taken_by_another_one(path: Path, file: Path) -> None:
    """If locks do not hold, the last one has it. The earlier one notices, and leaves the other its file."""
    lock = FileLock(path)
    file.unlink()  # so that the next one locks another file
    assert not lock.is_held()
    other = FileLock(path)
    assert not lock.is_held()
    lock.close()
    assert other.is_held()
    _refused(path)
    other.close()


@pytest.mark.parametrize("target", ["a file", "nothing"])
def test_a_link_in_its_place(target: str, path: Path, file: Path) -> None:
    """In a shared folder, a link must not lead to a file that is then overwritten."""
    there = path.with_name(target)
    if target == "a file":
        there.write_bytes(b"content")
    file.symlink_to(there)
    with pytest.raises(OSError, match="symbolic links"):
        FileLock(path)
    assert there.exists() == (target == "a file")
    assert target == "nothing" or there.read_bytes() == b"content"
