"""`python -m afas_async models`: a module of typed models, and what it reads and writes over HTTP."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from afas_async import AfasClient, F, GetConnector, UpdateConnector
from afas_async.simulator import Simulator
from tests.support import canary
from tests.support.command_line import environment, refused, run
from tests.typing import simulator_models

SAMPLE = Path(__file__).parents[1] / "typing" / "simulator_models.py"
GET_CONNECTORS: dict[str, GetConnector[Any]] = {
    each.name: each for each in vars(simulator_models).values() if isinstance(each, GetConnector)
}
UPDATE_CONNECTORS = {each.name for each in vars(simulator_models).values() if isinstance(each, UpdateConnector)}


@pytest.mark.usefixtures("within")
def test_the_sample_is_what_the_command_writes(capsys: pytest.CaptureFixture[str]) -> None:
    """The module that mypy and pyright check is this one: make it again with `-o tests/typing/simulator_models.py`."""
    ended = run(capsys, "models", "--simulator", "-o", str(SAMPLE), "--check")
    assert (ended.status, ended.out) == (0, f"{SAMPLE} is up to date\n")


async def test_every_sample_connector_streams_typed_rows() -> None:
    """Each row is an instance of the model, complete, and with the types that it declares."""
    async with (
        Simulator(rows=500, token=canary.TOKEN) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        await _each_streams_typed_rows(afas, simulator)


async def _each_streams_typed_rows(afas: AfasClient, simulator: Simulator) -> None:
    assert set(GET_CONNECTORS) == set(simulator.store.connectors)
    assert set(UPDATE_CONNECTORS) == set(simulator.store.updates)
    for name, connector in GET_CONNECTORS.items():
        typed = await afas.rows(connector).to_list()
        plain = await afas.rows(name, key=connector.key).to_list()
        assert len(typed) == len(plain) == simulator.store.count(name)
        members = {field.encode_name: field for field in msgspec.structs.fields(connector.row_type)}
        for row, values in zip(typed, plain, strict=True):
            assert type(row) is connector.row_type
            assert {id_: told(getattr(row, field.name)) for id_, field in members.items()} == {
                id_: untyped(value) for id_, value in values.items()
            }


def told(value: Any) -> Any:
    """Return a value as the service writes it."""
    return f"{value.isoformat()}Z" if hasattr(value, "isoformat") else value


def untyped(value: Any) -> Any:
    return Decimal(value) if isinstance(value, float) else value


async def test_a_model_of_an_element_is_written(afas: AfasClient) -> None:
    """Instances are inserted, updated and loaded, with objects in them and codes."""
    models = simulator_models
    subject = models.KnSubject(st_id=1, ds="Offerte", st=models.KnSubjectSt.CLOSED)
    (key,) = (await afas.insert(models.KN_SUBJECT, subject)).keys
    address = models.KnPersonKnBasicAddressAdr(co_id=models.KnPersonKnBasicAddressAdrCoId.BELGIUM, zp_cd="9000")
    async with afas.load(models.KN_PERSON) as load:
        await load.add(models.KnPerson(la_nm="Peeters", kn_basic_address_adr=address))
    load.report.raise_for_failures()
    found = [row async for row in afas.rows(models.SUBJECTS) if row.subject_id == int(key["SbId"])]
    assert [(row.subject, row.status) for row in found] == [("Offerte", models.SubjectsStatus.CLOSED)]
    async with afas.outcomes(
        models.KN_SUBJECT, [models.KnSubject(sb_id=int(key["SbId"]), ds="x")], action="update"
    ) as done:
        assert [outcome.status async for outcome in done] == ["applied"]


async def test_a_moment_finds_its_row(afas: AfasClient) -> None:
    """Wall time that was read is sent back in a filter as the service wrote it."""
    first = await afas.rows(simulator_models.ARTICLE).first()
    assert first is not None
    assert first.created_on is not None
    found = await afas.rows(simulator_models.ARTICLE, where=F.CreatedOn == first.created_on).to_list()
    assert first in found


# --- the command ---


def test_it_writes_the_named_connectors_of_an_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To standard output, with the keys that are given."""
    with environment(monkeypatch):
        ended = run(capsys, "models", "KnSubject", "Profit_Article", "--key", "Profit_Article=ItemCode")
    assert ended.status == 0
    assert 'ARTICLE = GetConnector("Profit_Article", Article, key="ItemCode")' in ended.out
    assert 'KN_SUBJECT = UpdateConnector("KnSubject")' in ended.out
    assert ended.out.count(" = GetConnector(") == ended.out.count(" = UpdateConnector(") == 1


def test_a_key_of_several_fields(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The fields of the key keep their order. Without names the command writes all connectors, most without a key."""
    with environment(monkeypatch):
        ended = run(
            capsys, "models", "--key", "Profit_JournalLines=UnitId,EntryNo,LineNo", "--key", "Profit_Debtor=DebtorId"
        )
    assert 'key=("UnitId", "EntryNo", "LineNo"))' in ended.out
    assert 'Debtor, key="DebtorId")' in ended.out
    assert ended.out.count("proposes a key") == len(GET_CONNECTORS) - 2


def test_a_file_is_written_once_and_checked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`--check` says by its status whether the file would differ, and never writes."""
    path = tmp_path / "models.py"
    with environment(monkeypatch):
        command = ("models", "Profit_Article", "-o", str(path))
        assert run(capsys, *command, "--check").out == f"{path} does not exist: write it\n"
        assert not path.exists()
        assert run(capsys, *command).out == f"{path}: GetConnectors: 1, UpdateConnectors: 0\n"
        assert run(capsys, *command).out == f"{path} is up to date\n"
        assert run(capsys, *command, "--check").status == 0
        changed = path.read_text().replace("Sales price", "Price")
        path.write_text(changed)
        ended = run(capsys, *command, "--check")
        assert (ended.status, path.read_text()) == (1, changed)
        assert "differs" in ended.out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["Profit_Articles"], "did you mean Profit_Article?"),
        (["Profit_Article", "--key", "Profit_Debtor=DebtorId"], "no metainfo of Profit_Debtor"),
        (["Profit_Article", "--key", "Profit_Article=Price"], "must be str or int"),
        (["Profit_Article", "--key", "Profit_Article=Other"], "has no field 'Other'"),
        (["Profit_Article", "-o", "/"], "Is a directory"),
    ],
)
def test_what_cannot_be_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    """One line says why."""
    with environment(monkeypatch):
        assert reason in refused(run(capsys, "models", *arguments))


@pytest.mark.parametrize("arguments", [["--check"], ["--key", "Profit_Article"]])
def test_arguments_that_make_no_sense(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """They are refused before anything is requested."""
    assert run(capsys, "models", *arguments).status == 2
