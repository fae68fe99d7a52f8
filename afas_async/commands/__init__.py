"""The command line, `python -m afas_async`: one file a command.

`--help` after a command lists all its options. Commands that call AFAS take the environment from the variables
AFAS_TOKEN (or AFAS_CLIENT_ID and AFAS_CLIENT_SECRET), and AFAS_ENVIRONMENT (with AFAS_ENVIRONMENT_TYPE) or
AFAS_BASE_URL.

python -m afas_async demo --compare
    The main job against a simulator, and again as a plain loop does it. Further options: `--rows`, `--window`, and
    `--latency 0.05,0.02` (seconds for a response, for each 1,000 rows, for each 1,000 rows skipped, and for each 1,000
    elements written).
python -m afas_async demo --connector Profit_Article --key ItemCode
    The same against your environment. Values are printed with `--show` only.
python -m afas_async inspect Profit_Article
    The fields of a connector, and candidates for its key. `--simulator` lets you try it without an environment.
python -m afas_async inspect Profit_Article --key ItemCode
    Read it all, and report whether the key is unique and never empty. The exit status says so too.
python -m afas_async journal subjects.journal
    What a load has done, which records are unknown, and what to do with each. `--applied N` and `--again N` say by
    hand what became of one.
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
