"""What type checkers know of files, raw calls and one-time passwords; checked, never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

from afas_async import AfasClient, AppToken, F, File, RawAnswer, otp


async def files(afas: AfasClient) -> None:
    """Each call gives a `File`, wherever its bytes go."""
    assert_type(await afas.version(), str)
    assert_type(await afas.file("0" * 32, "a.pdf"), File)
    assert_type(await afas.file("0" * 32, "a.pdf", to=Path("a.pdf"), binary=True, on_progress=print), File)
    assert_type(await afas.subject(1, "0" * 32, to="a.pdf"), File)
    assert_type(await afas.image("0" * 32, "medium"), File)
    assert_type(await afas.report("0" * 32, where=F.Number > 1), File)
    assert_type((await afas.image("0" * 32, format="thumbnail")).data, bytes)


async def mistakes(afas: AfasClient) -> None:
    """Type checkers refuse wrong calls before they run."""
    await afas.image("0" * 32, "large")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    await afas.file("0" * 32, "a", size=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    await afas.request("get", "x")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def calls(afas: AfasClient) -> None:
    """A raw call gives its response, and JSON of any type."""
    answer = await afas.request("POST", "any/path", params={"a": 1, "b": True}, json={"c": [None]})
    assert_type(answer, RawAnswer)
    assert_type(answer.json(), Any)
    assert_type(answer.headers, dict[str, str])


async def passwords() -> None:
    """A password gives a token."""
    await otp.request("12345", api_key="a", api_token="b", user_id="c")
    assert_type(await otp.validate("12345", api_key="a", api_token="b", user_id="c", otp="d", timeout=5), AppToken)
