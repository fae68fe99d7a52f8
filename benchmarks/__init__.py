"""How fast, how steady and how complete: figures that anyone can repeat with `python -m benchmarks`.

How to measure
--------------

`python -m benchmarks` (with the extra `benchmarks`) measures it on your computer. Everything runs in processes of its
own, in turn, with the server on another core than the reader. `--runs 3` repeats it, `--plot FILE.svg` draws a picture,
`--json FILE` keeps everything. Rows have 20 fields and about 450 bytes, decimals as `float` on all sides; a `Decimal`
costs more.

Figures
-------

One run: AMD EPYC, 2 cores, Linux 6.18, Python 3.11.7, aiohttp 3.14.5, msgspec 0.22.0, requests 2.34.2, httpx 0.28.1,
orjson 3.13.0, November 2026. Figures between ** ** miss their target.

Rows/s against requests + json, server takes no time, pages of 1,000 / 10,000 / 100,000
    3.7 / 4.3 / 5.0 times (target: 3.5 / 4 / 5)
Rows/s against twenty good lines of aiohttp + msgspec (`honest_script`)
    0.92 / 1.1 / 2.3 times (target: 0.92 / 1.05 / 1.8)
Rows/s as a share of decoding bytes that are in memory already, pages of 10,000
    **0.59** (target: 0.70)
`async for row` as a share of `batches()`
    0.92 (target: 0.90)
Longest hold of the event loop, any page size, plain or gzip
    1.4 ms (target: 5 ms)
Peak memory for 1,000,000 rows, any page size, fast or pausing reader
    20 MB (target: 32 MB)
First row, 50 ms latency, against a single request for 100 rows
    1.03 times (target: 1.15)
1,000,000 rows at 50 ms + 20 ms per 1,000 rows, share of a window that is never empty, pages: default / 1,000
    0.92 / 0.94 (target: 0.90)
Wasted requests for a table of 0, 50, 2,500, 25,000 rows
    0, 1, 3 to 4, 5 (target: 0, 1, 4, 5)
200,000 rows at that latency against requests + json, pages of 1,000 / its best page size
    11.0 / 3.6 times (target: 10 / 3.5)
Cost of a row at 1,000,000 rows against 50,000, with 0.9 ms more for each 1,000 rows skipped; requests, sampled
    0.5 to 0.8; 5.4 times (target: 1.2; above 5)
Share of a window that is never empty in that same run, default pages / pages of 1,000
    0.92 / 0.95 (target: 0.90)
Excess time for joining pages by key (`verify=False` leaves it out), pages of 1,000 / 10,000 / default size
    **0.054** / 0.033 / 0.036 (target: 0.05)
Excess time for joining pages by key together with the check that every key is unique
    **0.072** / 0.045 / **0.054** (target: 0.05)
10,000 elements loaded at 150 ms a call and 1 ms an element, 4 in flight, against their own time and one call
    1.25 times (target: 1.3)
The same elements, against one element a call
    460 times (target: 10)

CPU of writing 300,000 rows as Parquet, against json + pandas / with the right types (a busy machine)
    0.60 / 0.36 (target: 0.65 / 0.38)
dlt into DuckDB, 30,000 rows, by batches against dicts (a busy machine)
    17 times (target: 10)

Targets are missed only where the server takes no time. There, one reading differs from the next by more than the excess
for joining pages, hence the 25 rounds, in a run of their own. With the check of every key, duplicate and empty keys are
noticed wherever they stand. `bare_stream`, the same way of reading without a single check or limit, gets 0.7 of what
decoding alone does. Where skipping takes time, the figures hold for keys that lie evenly, as here. With others a page
skips what is in flight before it, and the share of the ideal was 0.82 / 0.91 (one reading each, without the forecast).

Where others win
----------------

- `honest_script` needs 3 % less time for the 200,000 rows, because it knows the page size and does not have to discover
  it. It uses 60 MB for it. In pages of 1,000 from a server that takes no time it needs 8 % less.
- A plain loop over a table of a few hundred rows is as good as anything.

What the others lose
--------------------

They read 200,000 rows in pages of 10,000, unsorted, from a service without an order of its own. The plain loops lose
67,600 rows, gathered httpx 75,200, waves of 8 x 40,000 21,600. This library, `honest_script` and one single response
lose none.
"""
