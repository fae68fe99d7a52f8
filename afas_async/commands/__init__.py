"""The command line, `afas-async` or `python -m afas_async`: the guide.

Install it with `pip install "afas-async[cli]"`. Add `--help` to any command to see all its options.

You name your environment in variables, never in arguments:

- `AFAS_TOKEN`, or `AFAS_CLIENT_ID` and `AFAS_CLIENT_SECRET`.
- `AFAS_ENVIRONMENT` (with `AFAS_ENVIRONMENT_TYPE`), or `AFAS_BASE_URL`.

`afas-async --env-file FILE COMMAND` reads them from a file. You can try most commands without an environment:
`afas-async rows Profit_Article --key ItemCode --simulator`.

Data goes to standard output. Progress goes to standard error while you watch.

| Exit status | Meaning |
|---|---|
| 0 | everything went well |
| 1 | something did not |
| 2 | the arguments make no sense |
| 3 | a load leaves unknown outcomes |
| 130 | you pressed Ctrl+C |

Look
----

- `python -m afas_async ping`
  checks your credential, and shows what it may do, the version of Profit, your clock and the latency.
- `python -m afas_async connectors --search article`
  lists the connectors that your token may use. `--json` is for programs.
- `python -m afas_async fields KnPerson`
  lists the fields of a connector: types, lengths, labels and codes. For an UpdateConnector you also see which are
  mandatory.
- `python -m afas_async inspect Profit_Article`
  lists the fields of a connector, and proposes keys.
- `python -m afas_async inspect Profit_Article --key ItemCode`
  reads all rows, and reports whether the key is unique and never empty. The exit status says so too.
- `python -m afas_async inspect --all`
  finds the likeliest key of every connector from a sample. It writes them to `afas-keys.json`, which the commands below
  read.
- `python -m afas_async version`
  shows the version of Profit, and of this program.

Read
----

- `python -m afas_async rows Profit_Article --where 'Price < 10 and Description.contains("bolt") and not Blocked'`
  shows a table on a terminal, and writes lines of JSON into a pipe. You choose with `--select`, `--order-by` and
  `--limit`.
- `python -m afas_async rows Profit_Article -o articles.parquet`
  writes a file: `.ndjson`, `.csv` (`.gz` or `.zst` may follow) or `.parquet`. `--resume` continues
  an interrupted `.ndjson` or `.csv` file.
- `python -m afas_async changes Profit_Article --state articles.state -o changes.ndjson`
  reads the rows modified since your last run, which the file of state remembers. `--modified FIELD` names the field
  with the moment of the last change.
- `python -m afas_async sync Profit_Article --into afas.duckdb --deletions`
  keeps a copy in DuckDB or PostgreSQL up to date: changes and deletions, in one transaction.
- `python -m afas_async export --all -o folder`
  writes every connector in the file of keys, several at a time, and shows the results in a table.
- `python -m afas_async file 0123456789ABCDEF0123456789ABCDEF offer.pdf -o offer.pdf`
  downloads a file of a dossier item, by default into the current folder.
- `python -m afas_async subject 4711 0123456789ABCDEF0123456789ABCDEF`
  does the same by the number of the dossier item.
- `python -m afas_async image 12 --size thumbnail`
  downloads an image, in one of three sizes.
- `python -m afas_async report 0B4D1E2F-0B4D-1E2F-0B4D-1E2F0B4D1E2F --where 'ItemCode == "000001"'`
  downloads a report, which the service makes while you wait.

Write
-----

- `python -m afas_async load KnSubject subjects.csv --action insert --journal subjects.journal --failed failed.csv`
  sends a record for each line of a CSV, NDJSON, Excel or Parquet file. A column is a field by its id or label, or by
  `--map FILE`. `--dutch` reads 1.234,56 and 31-01-2024. `--check` and `--dry-run` send nothing. After a crash, repeat
  the same command. `failed.csv` has each line that is not applied: correct it there, and load that file.
- `python -m afas_async load KnSubject failed.csv --action insert --lookup Profit_Subjects:Subject=Ds --wait`
  looks up unknown outcomes, as soon as the service is done with them.
- `python -m afas_async journal subjects.journal`
  shows what a load has done, which records are not applied, and what to do with them. If some are unknown, you settle
  them by hand with `--applied 3,7-9` and `--again all`.

Start
-----

- `python -m afas_async demo --compare`
  reads a large connector from a simulator, and again with a plain loop, and draws both as bars. You can add `--rows`,
  `--window`, `--svg FILE`, and `--latency 0.05,0.02`: seconds for a response, for each 1,000 rows, for each 1,000 rows
  skipped, and for each 1,000 elements written.
- `python -m afas_async demo --connector Profit_Article --key ItemCode`
  does the same against your environment. It prints values only with `--show`.
- `python -m afas_async models Profit_Article -o models.py`
  writes typed models of the connectors you name, or of all. See `--key NAME=FIELD[,FIELD]`, `--check`, `--simulator`.
- `python -m afas_async simulate --port 8765`
  serves a simulated AFAS Profit on this computer. `--rules '{"page_cap":1000}'` changes how it behaves.
- `python -m afas_async simulate --connector Profit_Article=articles.csv`
  serves your own rows (CSV or NDJSON) as a GetConnector.
- `python -m afas_async simulate --record environment.json`
  records your connectors, and the shapes and sizes of their rows, but no value of any row.
- `python -m afas_async simulate --from environment.json --rows 5000`
  serves those connectors with made-up rows of these shapes, 5,000 a connector at most.
"""

__docformat__ = "google"

__all__: list[str] = []  # the reference shows the guide alone: the names are those of `afas_async`
