"""How fast, how steady and how complete is this library? Measure it with `python -m benchmarks`.

How to measure
--------------

Install the extra `benchmarks`, then run `python -m benchmarks` on your computer. Each measurement runs in its own
process, and the contestants take turns. The server runs on another core than the reader. With `--runs 3` you repeat
everything, `--plot FILE.svg` draws a picture, and `--json FILE` writes all results.

Rows have 20 fields and about 450 bytes. All contestants read decimals as `float`; `Decimal` takes more time.

Figures
-------

These figures come from one run: AMD EPYC, 2 cores, Linux 6.18, Python 3.11.7, aiohttp 3.14.5, msgspec 0.22.0, requests
2.34.2, httpx 0.28.1, orjson 3.13.0, November 2026. Bold figures miss their target. Times such as "50 ms + 20 ms" are
the latency of a page and of 1,000 rows.

| Reading | Figure | Target |
|---|---|---|
| rows/s against requests + json, no latency, pages of 1,000 | 3.7 times | 3.5 |
| the same, pages of 10,000 | 4.3 times | 4 |
| the same, pages of 100,000 | 5.0 times | 5 |
| rows/s against 20 good lines of aiohttp + msgspec (`honest_script`), pages of 1,000 | 0.92 times | 0.92 |
| the same, pages of 10,000 | 1.1 times | 1.05 |
| the same, pages of 100,000 | 2.3 times | 1.8 |
| rows/s as a share of decoding bytes from memory, pages of 10,000 | **0.59** | 0.70 |
| `async for row` as a share of `batches()` | 0.92 | 0.90 |
| longest hold of the event loop, any page size, plain or gzip | 1.4 ms | 5 ms |
| peak memory for 1,000,000 rows, any page size, fast or pausing reader | 20 MB | 32 MB |
| first row at 50 ms, against a single request for 100 rows | 1.03 times | 1.15 |
| 1,000,000 rows at 50 ms + 20 ms, as a share of a window that is never empty, default pages | 0.92 | 0.90 |
| the same, pages of 1,000 | 0.94 | 0.90 |
| wasted requests for a table of 0 / 50 / 2,500 / 25,000 rows | 0 / 1 / 3 to 4 / 5 | 0 / 1 / 4 / 5 |
| 200,000 rows at that latency against requests + json, pages of 1,000 | 11.0 times | 10 |
| the same, at the best page size of requests | 3.6 times | 3.5 |
| cost of a row at 1,000,000 rows against 50,000, with 0.9 ms more per 1,000 skipped rows | 0.5 to 0.8 times | 1.2 |
| the same for requests, sampled | 5.4 times | above 5 |
| share of a window that is never empty in that run, default pages | 0.92 | 0.90 |
| the same, pages of 1,000 | 0.95 | 0.90 |
| excess time for joining pages by key (`verify=False` omits it), pages of 1,000 | **0.054** | 0.05 |
| the same, pages of 10,000 | 0.033 | 0.05 |
| the same, default pages | 0.036 | 0.05 |
| excess time for joining pages and checking every key, pages of 1,000 | **0.072** | 0.05 |
| the same, pages of 10,000 | 0.045 | 0.05 |
| the same, default pages | **0.054** | 0.05 |

| Loading | Figure | Target |
|---|---|---|
| 10,000 elements at 150 ms a call + 1 ms an element, 4 in flight, against their time plus one call | 1.25 times | 1.3 |
| the same, against one element a call | 460 times | 10 |

| Columns (on a busy machine) | Figure | Target |
|---|---|---|
| CPU of writing 300,000 rows as Parquet, against json + pandas | 0.60 | 0.65 |
| the same, against json + pandas with the right types | 0.36 | 0.38 |
| dlt into DuckDB, 30,000 rows, batches against dicts | 17 times | 10 |

Targets are missed only if the server has no latency. Then two readings differ by more than the excess for joining
pages. This is why that measurement has 25 rounds in a run of its own. The check of every key finds all duplicate and
empty keys. `bare_stream` reads in the same way without any check or limit, and gets 0.7 of decoding from memory.

If skipping takes time, the figures are for keys that are spaced evenly, as they are here. With other keys, a page skips
the rows in flight before it. The share of the ideal was then 0.82 / 0.91 (one reading each, without the forecast).

Where others win
----------------

- `honest_script` needs 3 % less time for the 200,000 rows, because it knows the page size and does not have to discover
  it. It uses 60 MB. With pages of 1,000 and no latency, it needs 8 % less time.
- If your table has a few hundred rows, a plain loop is just as good.

What the others lose
--------------------

All contestants read 200,000 rows in pages of 10,000, unsorted, from a service without a default order.

| Contestant | Lost rows |
|---|---|
| plain loops | 67,600 |
| `httpx_gathered` | 75,200 |
| waves of 8 x 40,000 | 21,600 |
| this library, `honest_script`, a single response | 0 |
"""
