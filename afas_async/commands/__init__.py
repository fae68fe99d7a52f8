"""The command line, `afas-async` or `python -m afas_async`: one file a command.

It needs the extra `cli`: `pip install "afas-async[cli]"`. `--help` after a command lists all its options. Commands that
call AFAS take the environment from the variables AFAS_TOKEN (or AFAS_CLIENT_ID and AFAS_CLIENT_SECRET), and
AFAS_ENVIRONMENT (with AFAS_ENVIRONMENT_TYPE) or AFAS_BASE_URL; `afas-async --env-file FILE COMMAND` reads them from a
file. `--simulator` lets you try most commands without an environment.

Data goes to standard output, and progress to standard error while a person watches. The exit status is 0 if all went
well, 1 if not, 2 if the arguments make no sense, 3 if a load leaves outcomes unknown, and 130 after Ctrl+C.

Look
----

python -m afas_async ping
    Whether the credential is right, what it is good for, the version of Profit, the clock and the latency.
python -m afas_async connectors --search article
    The connectors that the token may use, of both kinds. `--json` for programs.
python -m afas_async fields KnPerson
    The fields of a connector: types, lengths, labels and codes. Of an UpdateConnector also what is mandatory.
python -m afas_async inspect Profit_Article
    The fields of a connector, and candidates for its key.
python -m afas_async inspect Profit_Article --key ItemCode
    Read it all, and report whether the key is unique and never empty. The exit status says so too.
python -m afas_async version
    The version of Profit, and of this program.

python -m afas_async inspect --all
    The likeliest key of every connector, from a sample, into `afas-keys.json`, which the commands below read.

Read
----

python -m afas_async rows Profit_Article --where 'Price < 10 and Description.contains("bolt") and not Blocked'
    A table on a terminal, lines of JSON in a pipe. `--select`, `--order-by` and `--limit` choose.
python -m afas_async rows Profit_Article -o articles.parquet
    A file: `.ndjson`, `.csv` (`.gz` or `.zst` may follow) or `.parquet`. `--resume` goes on after an interruption.
python -m afas_async changes Profit_Article --state articles.state -o changes.ndjson
    What was modified since the last run, which the file of state remembers. `--modified FIELD` has the moments.
python -m afas_async sync Profit_Article --into afas.duckdb --deletions
    A copy in DuckDB or PostgreSQL, kept up to date: changes and deletions, in one transaction.
python -m afas_async export --all -o folder
    Every connector of the file of keys, several at a time, with a table of what became of each.
python -m afas_async file 0123456789ABCDEF0123456789ABCDEF offer.pdf -o offer.pdf
    A file of a dossier item, in the folder where you are.
python -m afas_async subject 4711 0123456789ABCDEF0123456789ABCDEF
    The same by the number of the dossier item.
python -m afas_async image 12 --size thumbnail
    An image, in one of three sizes.
python -m afas_async report 0B4D1E2F-0B4D-1E2F-0B4D-1E2F0B4D1E2F --where 'ItemCode == "000001"'
    A report, which the service makes while you wait.

Write
-----

python -m afas_async load KnSubject subjects.csv --action insert --journal subjects.journal --failed failed.csv
    A record for each line of a file: CSV, NDJSON, Excel or Parquet. A column is a field by its id or its label, or by
    `--map FILE`. `--dutch` reads 1.234,56 and 31-01-2024; `--check` and `--dry-run` send nothing. After a crash the
    same command goes on, and `failed.csv` has each line that is not applied, to be corrected and loaded.
python -m afas_async load KnSubject failed.csv --action insert --lookup Profit_Subjects:Subject=Ds --wait
    Unknown outcomes are looked up, after the service is done with them.
python -m afas_async journal subjects.journal
    What a load has done, which records are not applied, and what to do with them. `--applied 3,7-9` and `--again all`
    say by hand what became of those that are unknown.

Start
-----

python -m afas_async demo --compare
    The main job against a simulator, and again as a plain loop does it, as bars. Further options: `--rows`, `--window`,
    `--svg FILE`, and `--latency 0.05,0.02` (seconds for a response, for each 1,000 rows, for each 1,000 rows skipped,
    and for each 1,000 elements written).
python -m afas_async demo --connector Profit_Article --key ItemCode
    The same against your environment. Values are printed with `--show` only.
python -m afas_async models Profit_Article -o models.py
    Typed models of the named or all connectors: `--key NAME=FIELD[,FIELD]`, `--check`, `--simulator`.
python -m afas_async simulate --port 8765
    A simulated AFAS Profit on this computer. `--rules '{"page_cap":1000}'` changes how it behaves.
python -m afas_async simulate --connector Profit_Article=articles.csv
    Your own rows (CSV, NDJSON) as a GetConnector.
python -m afas_async simulate --record environment.json
    What your connectors are, and the shapes and sizes of their rows, without a value of any row.
python -m afas_async simulate --from environment.json --rows 5000
    A simulator with these connectors and made-up rows of these shapes, 5,000 a connector at most.
"""

__all__: list[str] = []  # the reference shows the guide alone: the names are those of `afas_async`
