"""Pulling: due loads in order, a no-op where all is there, and a sentence where a required source is held up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from health_pipeline.contract.landing import SOURCE_KINDS
from health_pipeline.settings import Settings
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing
from health_pipeline.sources.pull import SourcesError, pull, pull_source, read_sources, unresolved

FIRST = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)
MINUTES = {"billing": 30, "support": 10}


class Deliveries:
    """A billing system and a desk that deliver as many rows as told, load by load."""

    source_kinds = SOURCE_KINDS

    def __init__(self, rows: list[int], bad_from: int | None = None) -> None:
        self.rows = rows
        self.bad_from = bad_from
        self.asked: list[int] = []

    @property
    def load_times(self):
        return tuple(FIRST + timedelta(weeks=n) for n in range(len(self.rows)))

    def loaded_at(self, load, source_kind):
        return self.load_times[load] + timedelta(minutes=MINUTES.get(source_kind, 0))

    def extracts(self, load):
        self.asked.append(load)
        rows = self.rows[load]
        payments = pa.table(
            {
                "payment_id": [f"{load}-{n}" for n in range(rows)],
                "source_account_id": ["a"] * rows,
                "status": ["succeeded"] * rows,
                "amount": ["x" if self.bad_from is not None and load >= self.bad_from else "5"] * rows,
                "currency": ["USD"] * rows,
                "occurred_at": [FIRST - timedelta(days=3)] * rows,
            }
        )
        account = pa.table({"source_account_id": ["a"], "name": [f"A{load}"]})
        mode = "historical" if load == 0 else "incremental"
        return [
            Extract("billing", "stripe", mode, (TableExtract("billing_payment", payments),)),
            Extract("support", "zendesk", mode, (TableExtract("source_account", account),)),
        ]


def statuses(results):
    return [(result.source_kind, result.status) for result in results]


def test_due_loads_land_in_order_of_time_and_only_once(landing, company):
    source = Deliveries([3] * 4)
    through = FIRST + timedelta(weeks=1, minutes=20)
    waits: list[float] = []
    results = pull_source(landing, source, company, through, waits)

    # the source was asked for two loads
    assert len(waits) == 2
    assert min(waits) >= 0
    assert statuses(results) == [("support", "committed"), ("billing", "committed"), ("support", "committed")]
    assert [record.loaded_at for record in landing.loads()] == sorted(record.loaded_at for record in landing.loads())
    source.asked.clear()
    assert pull_source(landing, source, company, through) == []
    assert statuses(pull_source(landing, source, company, FIRST + timedelta(weeks=9)))[0] == ("billing", "committed")
    assert len(landing.loads()) == 8
    source.asked.clear()
    assert pull_source(landing, source, company, FIRST + timedelta(weeks=9)) == []


def test_nothing_is_fetched_again_that_was_landed_or_a_duplicate(landing, company):
    class Same(Deliveries):
        def extracts(self, load):
            return [super().extracts(max(load, 1))[1]] if load else []

    source = Same([3] * 3)
    source.loaded_at = lambda load, kind: (
        source.load_times[load] if kind == "support" else datetime(2099, 1, 1, tzinfo=UTC)
    )
    landing.load(source.extracts(1)[0], company, FIRST)
    pull_source(landing, source, company, FIRST + timedelta(weeks=1))
    source.asked.clear()
    pull_source(landing, source, company, FIRST + timedelta(weeks=1))
    assert source.asked == []


def test_a_held_load_stops_its_system_until_it_is_decided(landing, company):
    source = Deliveries([100, 100, 100, 100, 100, 5, 100])
    results = pull_source(landing, source, company, FIRST + timedelta(weeks=52))
    assert statuses(results)[-3:] == [("support", "committed"), ("billing", "held"), ("support", "committed")]
    assert [load.status for load in unresolved(landing)] == ["held"]
    assert statuses(pull_source(landing, source, company, FIRST + timedelta(weeks=52))) == []

    (held,) = landing.quarantined()
    landing.accept(held.load_id, "ada", FIRST)
    assert statuses(pull_source(landing, source, company, FIRST + timedelta(weeks=52))) == [("billing", "committed")]
    billing = [record.loaded_at for record in landing.loads() if record.source_kind == "billing"]
    assert billing == sorted(billing)
    assert unresolved(landing) == []


def test_a_refused_load_stops_its_system_until_it_is_mended_or_rejected(landing, company):
    through = FIRST + timedelta(weeks=52)
    pull_source(landing, Deliveries([3] * 4, bad_from=2), company, through)
    assert len([record for record in landing.loads() if record.source_kind == "billing"]) == 2
    assert [load.status for load in unresolved(landing)] == ["refused"]

    assert statuses(pull_source(landing, Deliveries([3] * 4, bad_from=3), company, through)) == [
        ("billing", "committed"),
        ("billing", "refused"),
    ]
    (refused,) = unresolved(landing)
    landing.reject(refused.load_id, "ada", "that week's export is lost", FIRST)
    assert unresolved(landing) == []
    assert pull_source(landing, Deliveries([3] * 4, bad_from=3), company, through) == []


def test_a_required_source_that_is_held_up_blocks_and_an_optional_one_warns(tmp_path, company):
    settings = Settings(home=tmp_path)
    landing = Landing(settings.landing, settings.quarantine)
    bad = pa.table({"source_account_id": ["a"], "nam": ["A"]})
    for kind in ("billing", "support"):
        landing.load(Extract(kind, kind, "incremental", (TableExtract("source_account", bad),)), company, FIRST)

    report = pull(settings, company, FIRST + timedelta(days=1))
    assert len(report.blocking) == 1
    assert report.blocking[0].startswith(
        "The billing load of billing made 2026-01-05 02:00:00 UTC is refused (billing load of billing, table "
        "source_account: column name is missing; the contract wants it (a text), and the closest name there is 'nam'): "
        "mend the source and run again, or `health-pipeline loads reject "
    )
    assert report.warnings[-1].startswith("The support load of support")
    assert (report.kinds["billing"].refused, report.refused, report.held, report.landed) == (1, 2, 0, 0)
    assert (report.kinds["billing"].is_connected, report.kinds["billing"].is_required) == (False, True)

    assert pull(settings, company, FIRST - timedelta(days=1)).blocking == ()
    good = pa.table({"source_account_id": ["a"], "name": ["A"]})
    extract = Extract("billing", "billing", "incremental", (TableExtract("source_account", good),))
    landing.load(extract, company, FIRST + timedelta(hours=1))
    report = pull(settings, company, FIRST + timedelta(days=1))
    assert (report.blocking, report.kinds["billing"].is_connected) == ((), True)


def test_the_demo_company_lands_and_a_second_pull_is_a_no_op(tmp_path, company):
    settings = Settings(home=tmp_path)
    (tmp_path / "sources.yaml").write_text("demo: {seed: 7, accounts: 80}\n")
    through = datetime(2025, 12, 1, 6, tzinfo=UTC)

    report = pull(settings, company, through)
    assert (report.blocking, report.landed, report.held, report.refused) == ((), 27, 0, 0)
    assert all(kind.is_connected and kind.landed == 3 for kind in report.kinds.values())
    loads = Landing(settings.landing, settings.quarantine).loads()
    assert [record.loaded_at for record in loads] == sorted(record.loaded_at for record in loads)
    assert {record.mode for record in loads[:9]} == {"historical"}

    again = pull(settings, company, through)
    assert (again.landed, again.blocking, again.warnings) == (0, (), ())
    assert Landing(settings.landing, settings.quarantine).loads() == loads


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("demo: {seed: 7, acounts: 3}", "demo.acounts: Extra inputs are not permitted"),
        ("demo: {accounts: 0}", "demo.accounts: Input should be greater than or equal to 1 (it says 0)."),
        ("demo: [", "is not YAML"),
    ],
)
def test_a_wrong_sources_file_is_refused_in_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "sources.yaml"
    path.write_text(text)
    with pytest.raises(SourcesError) as error:
        read_sources(path)
    assert str(error.value).startswith(str(path))
    assert sentence in str(error.value)


def test_no_sources_file_means_that_nothing_is_pulled(tmp_path, company):
    report = pull(Settings(home=tmp_path), company, FIRST)
    assert (report.landed, report.blocking) == (0, ())
    assert not any(kind.is_connected for kind in report.kinds.values())
