"""P1 to P4: rows per second from a server without latency."""

from __future__ import annotations

from benchmarks.figures import Figure, Scale, Section, Standing, interleave, ratio_figure, ratios, standing
from benchmarks.stage import bare_server

OURS = "afas_async_stream"
CONTESTANTS = (
    OURS,
    "requests_json",
    "httpx_sequential",
    "httpx_gathered",
    "aiohttp_orjson",
    "honest_script",
    "bare_stream",
    "bare_socket",
    "decode_only",
)
AGAINST_REQUESTS = {1_000: 3.5, 10_000: 4.0, 100_000: 5.0}
AGAINST_HONEST = {1_000: 0.92, 10_000: 1.05, 100_000: 1.8}
SHARE_OF_DECODING = 0.70
SHARE_OF_BATCHES = 0.90


def throughput(scale: Scale) -> Section:
    """Compare all contestants with pages of three sizes."""
    figures, standings = list[Figure](), list[Standing]()
    with bare_server(scale.rows) as server:
        for take, target in AGAINST_REQUESTS.items():
            runs = interleave({name: server.task(name, take=take) for name in CONTESTANTS}, scale.rounds)
            pages = f"pages of {take:,}"
            standings += [standing(pages, name, runs[OURS], found) for name, found in runs.items()]
            against = {name: ratios(runs[OURS], found) for name, found in runs.items()}
            figures += [
                ratio_figure("P1", f"against requests + json, {pages}", against["requests_json"], target),
                ratio_figure(
                    "P2", f"against the honest script, {pages}", against["honest_script"], AGAINST_HONEST[take]
                ),
            ]
            if take == 10_000:
                share = against["decode_only"]
                figures.append(ratio_figure("P3", f"share of decoding only, {pages}", share, SHARE_OF_DECODING, ""))
    return Section("Rows per second without latency", figures, standings)


def iteration(scale: Scale) -> Section:
    """Compare `async for row` with `batches()`. Both iterate over every row."""
    with bare_server(scale.rows) as server:
        runs = interleave(
            {form: server.task(OURS, take=10_000, variant=form) for form in ("rows", "nested")}, scale.rounds
        )
    pairs = ratios(runs["rows"], runs["nested"])
    figure = ratio_figure("P4", "async for row, as a share of batches()", pairs, SHARE_OF_BATCHES, "")
    return Section("Row by row", [figure], [standing("", form, runs["rows"], runs[form]) for form in runs])
