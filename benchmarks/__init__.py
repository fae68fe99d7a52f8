"""How fast, how steady and how complete is this library? Measure it with `python -m benchmarks`.

How to measure
--------------

Install the extra `benchmarks`, then run `python -m benchmarks` on your computer. Each measurement runs in its own
process, and the contestants take turns. The server runs on another core than the reader. With `--runs 3` you repeat
everything, `--plot FILE.svg` draws a picture, and `--json FILE` writes all results.

Rows have 20 fields and about 450 bytes. All contestants read decimals as `float`; `Decimal` takes more time.

Figures
-------

These figures come from one run on 30 November 2026: Intel Xeon, 2 cores, Linux 6.18, Python 3.11.7, aiohttp 3.14.5,
msgspec 0.23.0, requests 2.34.2, httpx 0.28.1, orjson 3.13.0, pyarrow 26.0.1, pandas 3.1.1. Bold figures miss their
target. Times such as "50 ms + 20 ms" are the latency of a page and of 1,000 rows.

| Reading | Figure | Target |
|---|---|---|
| rows/s against requests + json, no latency, pages of 1,000 | **2.5 times** | 3.5 |
| the same, pages of 10,000 | **3.1 times** | 4 |
| the same, pages of 100,000 | **3.6 times** | 5 |
| rows/s against 20 good lines of aiohttp + msgspec (`honest_script`), pages of 1,000 | **0.68 times** | 0.92 |
| the same, pages of 10,000 | **0.99 times** | 1.05 |
| the same, pages of 100,000 | **1.4 times** | 1.8 |
| rows/s as a share of decoding bytes from memory, pages of 10,000 | **0.46** | 0.70 |
| `async for row` as a share of `batches()` | 0.99 | 0.90 |
| longest hold of the event loop, any page size, plain or gzip | 1.7 to 2.8 ms | 5 ms |
| peak memory for 1,000,000 rows, any page size, fast or pausing reader | 6 to 21 MB | 32 MB |
| peak memory of 20 slow streams of one client | 34 MB | 40 MB |
| first row at 50 ms, against a single request for 100 rows | 1.08 times | 1.15 |
| 1,000,000 rows at 50 ms + 20 ms, as a share of a window that is never empty, default pages | **0.89** | 0.90 |
| the same, pages of 1,000 | 0.91 | 0.90 |
| wasted requests for a table of 0 / 50 / 2,500 / 25,000 rows | 0 / 1 / 3 / 5 | 0 / 1 / 3 / 5 |
| 200,000 rows at that latency against requests + json, pages of 1,000 | 11.4 times | 10 |
| the same, at the best page size of requests | 3.9 times | 3.5 |
| cost of a row at 1,000,000 rows against 50,000, with 0.9 ms more per 1,000 skipped rows | 0.5 to 0.8 times | 1.2 |
| the same for requests, sampled | 5.3 times | above 5 |
| share of a window that is never empty in that run, default pages / pages of 1,000 | **0.89** / **0.90** | 0.90 |
| excess time for joining pages by key, pages of 1,000 / 10,000 / default | **0.07 / 0.06 / 0.06** | 0.05 |
| the same with the check of every key | **0.09 / 0.08 / 0.07** | 0.05 |
| 5,000 rows of a view that takes 12 s a call, against the best `take` | 0.96 times | 1.6 |
| p99 of 10 pages a second during 3 bulk reads, against pages alone | 1.1 times | 3 |
| rows of these reads, against pages that wait their turn | **0.88** | 0.90 |
| decoding rows with three moments as wall time, against UTC | **1.6 times** | 1.05 |

| Loading | Figure | Target |
|---|---|---|
| 10,000 elements at 150 ms a call + 1 ms an element, 4 in flight, against that and one call | **1.35 times** | 1.25 |
| the same with a journal | **1.38 times** | 1.25 |
| the same, against one element a call | 446 times | 10 |
| longest hold of the event loop with a journal | 4.7 ms | 5 ms |

| Columns | Figure | Target |
|---|---|---|
| CPU of writing 300,000 rows as Parquet, against json + pandas | 0.58 | 0.65 |
| the same, against json + pandas with the right types | 0.36 | 0.38 |
| peak memory of writing 300,000 / 3,000,000 rows as Parquet | 163 / 155 MB | 250 MB |
| dlt into DuckDB, 30,000 rows, batches against dicts | 12 times | 10 |

| A web service: p99 of `/health`, minus that of an idle service | Figure | Target |
|---|---|---|
| during a stream of 1,000,000 rows | 0.7 ms | 20 ms |
| during a load of 60,000 elements with a journal | 14 ms | 20 ms |
| during both | 9 ms | 20 ms |

The targets of rows/s were set on another machine (AMD EPYC, msgspec 0.22) with the library of 20 November, whose
figures there were 3.7 / 4.3 / 5.0 and 0.92 / 1.1 / 2.3. Here, that library reaches 2.8 / 3.6 / 3.9 and 0.82 / 1.0 /
1.5. Since then, reading takes about a tenth more processor time: for events, for parts, and for more checks.

The excess for joining pages is smaller than the difference between two readings (from -0.05 to 0.17), hence the 25
rounds in a run of their own. The check of every key finds all duplicate and empty keys. `bare_stream` reads in the same
way without any check or limit, and gets 0.6 of decoding from memory.

If skipping takes time, the figures are for keys that are spaced evenly, as they are here. With other keys, a page skips
the rows in flight before it. The share of the ideal was then 0.82 / 0.91 (one reading each, without the forecast).

Where others win
----------------

- `honest_script` needs 3 % less time for the 200,000 rows, because it knows the page size and does not have to discover
  it. It uses 51 MB. With pages of 1,000 and no latency, it needs 32 % less time.
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
