"""The command `ping`: whether the service answers, and what the credential may do."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from afas_async.commands.environment import ENVIRONMENT, client, completed
from afas_async.commands.options import AsJson, OwnSimulator
from afas_async.commands.terminal import output, print_json, printable
from afas_async.errors import AfasError

if TYPE_CHECKING:
    from afas_async.client.client import AfasClient

EPILOG: Final = "The exit status is 0 if everything works, else 1.\n\n" + ENVIRONMENT
_SKEW: Final = 60  # seconds: a smaller difference of the clocks does not matter


async def look(afas: AfasClient) -> tuple[dict[str, Any], list[str]]:
    """Return facts about the service, and a list of problems.

    Args:
        afas: An open client.

    Raises:
        AfasError: If the credential is refused, or no response comes back.
    """
    started = perf_counter()
    metainfo = await afas.metainfo()
    first = perf_counter() - started
    facts: dict[str, Any] = {
        "service": repr(afas).partition("'")[2].rpartition("'")[0],
        "environment": metainfo.info.envid,
        "app connector": metainfo.info.app_name,
        "user group": metainfo.info.group,
        "token expires": {"0": "never", "": ""}.get(metainfo.info.token_expiry, metainfo.info.token_expiry),
        "GetConnectors": len(metainfo.get_connectors),
        "UpdateConnectors": len(metainfo.update_connectors),
        "other connectors": len(metainfo.custom_connectors),
    }
    wrong = list[str]()
    try:
        facts["version"] = await afas.version()
    except AfasError as error:
        facts["version"] = "not allowed"
        wrong.append(f"the version cannot be read: {error}")
    started = perf_counter()
    answer = await afas.request("GET", "metainfo")
    second = perf_counter() - started
    skew = _skew(answer.headers)
    facts["clock"] = (
        "unknown" if skew is None else f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} the service"
    )
    if skew is not None and abs(skew) > _SKEW:
        wrong.append(f"this computer's clock is {facts['clock']}: set it, as tokens and waiting times depend on it")
    facts["first answer"] = f"{first * 1000:.0f} ms"
    facts["latency"] = f"{second * 1000:.0f} ms"
    return {name: value for name, value in facts.items() if value not in {"", None}}, wrong


def _skew(headers: Any) -> float | None:
    """Return the seconds that the service's clock is ahead of this computer's, by the header of a response."""
    stamped = next((value for name, value in headers.items() if name.lower() == "date"), None)
    try:
        return None if stamped is None else (parsedate_to_datetime(stamped) - datetime.now(UTC)).total_seconds()
    except ValueError:
        return None


def command(*, as_json: AsJson = False, simulator: OwnSimulator = False) -> int:
    """Check your credential, the environment and the connection, with one line for each fact.

    You see what your token may do, the version of Profit, how far your clock is off, and how long a response takes.
    Nothing is changed, and no row is read.
    """

    async def work() -> tuple[dict[str, Any], list[str]]:
        async with client(simulator=simulator) as afas:
            return await look(afas)

    facts, wrong = completed(work())
    if as_json:
        print_json({**facts, "ok": not wrong, "problems": wrong})
    else:
        console = output()
        for name, value in facts.items():
            console.print(f"[cyan]{name:<17}[/] ", end="")
            console.print(printable(str(value)), markup=False)
        for text in wrong:
            console.print("[red]problem[/]           ", end="")
            console.print(printable(text), markup=False)
    return 1 if wrong else 0
