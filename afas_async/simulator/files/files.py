"""The files of the service: attachments of dossier items, images, and reports over a GetConnector."""

from __future__ import annotations

import base64
import functools
import mimetypes
import random
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import msgspec

from afas_async.simulator.files.drawing import pdf, png

_ITEMS: Final = 200  # files are attached to the dossier items 1 to 200
_BLOCK: Final = 1 << 14
# Names that break in a path, in a URL or in the service's own encoding of names.
_NAMES: Final = (
    ("a_b (1).pdf", "application/pdf"),
    ("Offerte 100% & meer, deel 1; versie_2.txt", "text/plain"),
    ("Caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{EURO SIGN} 5_28.txt", "text/plain"),
    ("leeg.txt", "text/plain"),
    ("=+~'!@#$^()[]{}.bin", "application/octet-stream"),
    ("gegevens.json", "application/json"),
    ("foto.png", "image/png"),
    ("groot.bin", "application/octet-stream"),
)


class Attachment(msgspec.Struct, frozen=True):
    """A file that is attached to a dossier item.

    Attributes:
        id: 32 hex digits.
        subject_id: The dossier item.
        name: Its name.
        mimetype: Its type.
        data: Its bytes.
    """

    id: str
    subject_id: int
    name: str
    mimetype: str
    data: bytes


class Image(msgspec.Struct, frozen=True):
    """An image in three sizes, as PNG.

    Attributes:
        id: 32 hex digits, or a whole number.
        sizes: The bytes of the original, of the thumbnail (64 x 64 pixels at most) and of the medium size
            (1,000 x 1,000 pixels at most).
    """

    id: str
    sizes: tuple[bytes, bytes, bytes]


class Report(msgspec.Struct, frozen=True):
    """A report: a page with the number of rows that meet a condition, and the first of them.

    Attributes:
        id: A GUID.
        connector: The GetConnector with these rows; you filter by its fields.
    """

    id: str
    connector: str


def drawn_attachments(seed: int) -> tuple[Attachment, ...]:
    """Return the attachments for a seed."""
    return _drawn(seed)[0]


class AttachmentRow(NamedTuple):
    """A row of the table of attachments.

    Attributes:
        subject_id: The dossier item.
        id: Its id.
        name: Its name.
        stream: Its bytes in base64; None if no client wrote it.
    """

    subject_id: int
    id: str
    name: str
    stream: str | None


class AttachmentTable(Protocol):
    """The table of attachments."""

    def find(self, file_id: str) -> AttachmentRow | None:
        """Find an attachment by its id."""
        ...

    def add(self, row: AttachmentRow) -> None:
        """Add an attachment."""
        ...


class Files:
    """The files of your simulator, as `simulator.files`.

    Args:
        seed: The same seed gives the same files.
        table: The table of attachments, with the bytes of those that clients write; None if one of your own connectors
            replaces that table.

    Attributes:
        attached: The attachments of the seed, and those that you `add`; without those that clients write.
        images: The images.
        reports: The reports.
    """

    def __init__(self, seed: int, table: AttachmentTable | None) -> None:
        self._seed = seed
        self._table = table
        self.attached: list[Attachment] = []
        self.images: list[Image] = []
        self.reports: list[Report] = []
        self.reset()

    def reset(self) -> None:
        """Restore the files of the start."""
        self.attached[:], self.images[:], self.reports[:] = _drawn(self._seed)

    def add(self, name: str, data: bytes, *, mimetype: str = "application/octet-stream", subject_id: int = 1) -> str:
        """Attach a file to a dossier item, and return its id.

            file_id = simulator.files.add("offer.pdf", b"%PDF...", mimetype="application/pdf", subject_id=7)

        Args:
            name: Its name.
            data: Its bytes.
            mimetype: Its type.
            subject_id: The dossier item.
        """
        number = f"{len(self.attached):032X}"
        if self._table is not None:
            self._table.add(AttachmentRow(subject_id, number, name, None))
        self.attached.append(Attachment(number, subject_id, name, mimetype, data))
        return number

    def attachment(self, file_id: str, *, name: str | None = None, subject_id: str | None = None) -> Attachment | None:
        """Find a file by its id, and by its name or its dossier item if they are given."""
        row = self._row(file_id)
        if row is None or name not in {None, row.name} or subject_id not in {None, str(row.subject_id)}:
            return None
        if row.stream is None:
            return next((each for each in self.attached if each.id == row.id), None)
        mimetype = mimetypes.guess_type(row.name)[0] or "application/octet-stream"
        return Attachment(row.id, row.subject_id, row.name, mimetype, base64.b64decode(row.stream))

    def _row(self, file_id: str) -> AttachmentRow | None:
        if self._table is not None:
            return self._table.find(file_id)
        rows = (AttachmentRow(each.subject_id, each.id, each.name, None) for each in self.attached)
        return next((row for row in rows if row.id.lower() == file_id.lower()), None)

    def image(self, image_id: str) -> Image | None:
        """Find an image by its id."""
        return next((each for each in self.images if each.id.lower() == image_id.lower()), None)

    def report(self, guid: str) -> Report | None:
        """Find a report by its id."""
        return next((each for each in self.reports if each.id.lower() == guid.lower()), None)


_CONTENTS: Final[dict[str, Callable[[random.Random], bytes]]] = {
    "a_b (1).pdf": lambda _: pdf(["Invoice (1) of a_b"]),
    "Offerte 100% & meer, deel 1; versie_2.txt": lambda _: b"Offerte\r\n" * 40,
    "Caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{EURO SIGN} 5_28.txt": lambda _: "caf\u00e9 \u20ac\n".encode(),
    "leeg.txt": lambda _: b"",
    "=+~'!@#$^()[]{}.bin": lambda _: bytes(range(256)) * 3,
    "gegevens.json": lambda _: b'{"filename":"x","filedata":"eA=="}',
    "foto.png": lambda draw: png(120, 80, _colour(draw)),
    "groot.bin": lambda draw: b"".join(draw.randbytes(_BLOCK) for _ in range(20)),
}


@functools.lru_cache(maxsize=4)
def _drawn(seed: int) -> tuple[tuple[Attachment, ...], tuple[Image, ...], tuple[Report, ...]]:
    """Make the files for a seed once, because that takes longer than all the rest of a simulator's start."""
    draw = random.Random(f"files {seed}")  # noqa: S311 (no secret)
    attached = tuple(
        Attachment(_id(draw), draw.randrange(_ITEMS) + 1, name, mimetype, _CONTENTS[name](draw))
        for name, mimetype in _NAMES
    )
    images = tuple(Image(_id(draw), _sizes(draw, *shape)) for shape in ((1600, 1200), (300, 900)))
    reports = tuple(Report(_guid(draw), connector) for connector in ("Profit_Article", "Profit_Debtor"))
    images += (Image(str(draw.randrange(1, 100_000)), _sizes(draw, 160, 120)),)  # some environments number their images
    return attached, images, reports


def _sizes(draw: random.Random, width: int, height: int) -> tuple[bytes, bytes, bytes]:
    colour = _colour(draw)
    original, thumbnail, medium = (
        png(max(width * most // max(width, height, most), 1), max(height * most // max(width, height, most), 1), colour)
        for most in (1 << 16, 64, 1000)
    )
    return original, thumbnail, medium


def _colour(draw: random.Random) -> tuple[int, int, int]:
    return draw.randrange(256), draw.randrange(256), draw.randrange(256)


def _id(draw: random.Random) -> str:
    return f"{draw.getrandbits(128):032X}"


def _guid(draw: random.Random) -> str:
    digits = _id(draw)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
