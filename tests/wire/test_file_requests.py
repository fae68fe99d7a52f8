"""Requests for files, images and reports: nothing but ids and coded names gets into their URLs."""

from __future__ import annotations

from functools import partial
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async.errors import InvalidFilterError, InvalidNameError, QueryTooLongError
from afas_async.vocabulary.filters import F
from afas_async.wire.file_requests import file_requests, image_request, report_request, subject_request
from tests.support.thoroughness import examples

ID = "0123456789ABCDEFabcdef0123456789"
GUID = "01234567-89AB-CDEF-abcd-ef0123456789"
BINARY = (("SendFileAsBinary", "1"),)


@pytest.mark.parametrize(
    ("name", "coded"),
    [
        ("a_b (1).pdf", "a_5fb%20_281_29.pdf"),
        ("Invoice_nr3734.pdf", "Invoice_5fnr3734.pdf"),
        ("Invoice3734.pdf", "Invoice3734.pdf"),
        ("100%.txt", "100_25.txt"),
        ("_", "_5f"),
        ("5_28.txt", "5_5f28.txt"),
        ("a b.c", "a%20b.c"),
        ("a_20b.c", "a_5f20b.c"),
        ("caf\u00e9.txt", "caf_C3_A9.txt"),
        ("a+b&c=d;e,f'g.txt", "a_2Bb_26c_3Dd_3Be_2Cf_27g.txt"),
        ("a?b#c:d*e.txt", "a_3Fb_23c_3Ad_2Ae.txt"),
        ("..a", "..a"),
        ("x" * 255, "x" * 255),
    ],
)
def test_names_are_coded(name: str, coded: str) -> None:
    """AFAS first documented this way: `%` becomes `_`, and only the space stays as it is in a URL."""
    assert file_requests(ID, name)[-1].path == f"fileconnector/{ID}/{coded}"


@pytest.mark.parametrize(
    ("name", "coded"),
    [
        ("Gabri\u00ebls 123456.pdf", "Gabri%C3%ABls%20123456.pdf"),
        ("a_b-c (1).pdf", "a_5fb_2Dc%20%281%29.pdf"),
        ("100% & meer: $5!.txt", "100_25%20_26%20meer_3A%20_245_21.txt"),
        ("Invoice3734.pdf", "Invoice3734.pdf"),
    ],
)
def test_names_are_coded_as_the_page_of_today_says(name: str, coded: str) -> None:
    """Seventeen characters become `_XX`, all others are escaped as in URLs; it is tried first."""
    requests = file_requests(ID, name)
    assert requests[0].path == f"fileconnector/{ID}/{coded}"
    assert len(requests) == (1 if name[:3] in {"Inv", "100"} else 2)  # the other way is tried where it differs


@examples(300, 60)
@given(st.text(min_size=1, max_size=50))
def test_every_name_can_be_read_again(name: str) -> None:
    """A name is refused, or it is one segment of the URL from which it can be read back without loss."""
    try:
        new, *_ = segments = [each.path.removeprefix(f"fileconnector/{ID}/") for each in file_requests(ID, name)]
    except InvalidNameError:
        return
    assert unquote(unquote(new).replace("_", "%")) == name
    segment = segments[-1]
    assert set(segment.replace("%20", "")) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
    assert unquote(segment.replace("_", "%")) == name
    assert segment not in {".", ".."}


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "...", " ", ". .", "/", "a/b", "../a", "a\\b", "..\\a", "a\nb", "a\0b", "\x7f", "\x85", "\ud800",
        "x" * 256, "C:\\x", "/etc/passwd",
    ],
)  # fmt: skip
def test_what_is_no_name(name: str) -> None:
    """A path, a control character or nothing at all is refused before anything is sent."""
    with pytest.raises(InvalidNameError):
        file_requests(ID, name)


NO_IDS = [
    "", "1", ID[:-1], ID + "0", ID[:-1] + "g", f" {ID}", f"{ID}\n", f"{ID[:-2]}..", f"{ID[:-1]}/", "../" + ID[3:],
    "%" + ID[1:], ID[:-1] + "\u0663", "{" + ID + "}",
]  # fmt: skip


@pytest.mark.parametrize("bad", [*NO_IDS, GUID])
def test_ids_of_files(bad: str) -> None:
    """The id of a file is 32 hex digits, and nothing else."""
    with pytest.raises(InvalidNameError):
        file_requests(bad, "a.pdf")
    with pytest.raises(InvalidNameError):
        subject_request(1, bad)


@pytest.mark.parametrize("bad", [*NO_IDS, GUID[:-1], GUID.replace("-", "_"), "{" + GUID])
def test_ids_of_images_and_reports(bad: str) -> None:
    """The id of an image or a report is a GUID. An image's id may also be a number, and a report's may have braces."""
    if not bad.isdecimal() or not bad.isascii():
        with pytest.raises(InvalidNameError):
            image_request(bad)
    if bad != "{" + ID + "}":
        with pytest.raises(InvalidNameError):
            report_request(bad)


@pytest.mark.parametrize("bad", ["", "-1", "1.5", "a", "1/2", " 1", "1\n", "\u0663", "../1", "1" * 19])
def test_ids_of_dossier_items(bad: str) -> None:
    """The id of a dossier item is a number."""
    with pytest.raises(InvalidNameError):
        subject_request(bad, ID)


def test_paths() -> None:
    """Each connector has its path, and one header for bare bytes."""
    assert subject_request(12, ID).path == subject_request("12", ID).path == f"subjectconnector/12/{ID}"
    assert image_request(GUID).path == f"imageconnector/{GUID}"
    assert image_request(25544).path == image_request("25544").path == "imageconnector/25544"
    assert [image_request(ID, size).query for size in ("original", "thumbnail", "medium")] == [
        "format=0", "format=1", "format=2"
    ]  # fmt: skip
    assert report_request("{" + GUID + "}").path == report_request(GUID).path == f"reportconnector/{GUID}"
    for make in (
        lambda **options: file_requests(ID, "a", **options)[0],
        partial(subject_request, 1, ID),
        partial(image_request, ID),
        partial(report_request, ID),
    ):
        assert (make().headers, make(binary=True).headers) == ((), BINARY)
        assert make().method == "GET"


def test_what_is_no_format() -> None:
    """An image comes in three sizes."""
    with pytest.raises(InvalidNameError, match="thumbnail"):
        image_request(ID, "large")  # type: ignore[arg-type]


def test_filters_of_reports() -> None:
    """Filters are those of rows: the simple form where it is safe, JSON where it is not, and never too long."""
    assert report_request(GUID, where=(F.A == 1).groups()).query == "filterfieldids=A&filtervalues=1&operatortypes=1"
    assert report_request(GUID, where=((F.A == 1) | (F.B == 2)).groups()).query.startswith("filterjson=")
    assert report_request(GUID).query == ""
    with pytest.raises(QueryTooLongError):
        report_request(GUID, where=F.A.in_([f"{number:08}" for number in range(500)]).groups())
    with pytest.raises(InvalidFilterError):
        report_request(GUID, where=F.A.in_([]).groups())


def test_names_of_files_stay_out_of_events() -> None:
    """The name of a file may be personal data: an event, a log and a traceback do not show it."""
    request = file_requests(ID, "Ontslag Jan Jansen.pdf")[0]
    assert "Jan" not in request.redacted() + repr(request)
