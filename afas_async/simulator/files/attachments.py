"""The table of attachments: UpdateConnectors write it, and file requests find attachments in it."""

from __future__ import annotations

from afas_async.simulator.files.files import AttachmentRow
from afas_async.simulator.samples.connectors import ATTACHMENTS
from afas_async.simulator.storage.store import Store


def stored_attachments(store: Store) -> StoredAttachments | None:
    """Return the attachments in a store, or None if a user's own connector has that name."""
    connector = next((each for name, each in store.connectors.items() if name.lower() == ATTACHMENTS.lower()), None)
    return StoredAttachments(store) if connector is not None and connector.hidden else None


class StoredAttachments:
    """The attachments in a store.

    Args:
        store: The tables.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, file_id: str) -> AttachmentRow | None:
        """Find an attachment by its id; letter case does not count."""
        rows = self._store.execute(
            f'SELECT SubjectId, FileId, FileName, FileStream FROM "{ATTACHMENTS}" WHERE FileId = ?', (file_id,)
        )
        return AttachmentRow(*rows[0]) if rows else None

    def add(self, row: AttachmentRow) -> None:
        """Add an attachment."""
        self._store.insert(
            ATTACHMENTS,
            {"SubjectId": row.subject_id, "FileId": row.id, "FileName": row.name, "FileStream": row.stream},
        )
