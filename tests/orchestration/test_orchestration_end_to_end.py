"""The weekly and the quarterly review from source systems to release, on a small demo company."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml

from health_pipeline.contract.clocks import Quarter, Week, weeks_between
from health_pipeline.contract.mart import mart_tables
from health_pipeline.identity import ahead
from health_pipeline.mart.dbt_ahead import DbtAhead
from health_pipeline.mart.published import read_published
from health_pipeline.observability.workers import Workers
from health_pipeline.orchestration.build import build_definitions
from health_pipeline.orchestration.demo import configure_sources
from health_pipeline.orchestration.home import dagster_instance
from health_pipeline.orchestration.run import RunFailedError, run_quarterly, run_weekly
from health_pipeline.policy.company import load_company
from health_pipeline.policy.documents import BUILT_IN
from health_pipeline.policy.exception_queue import load_exception_queue
from health_pipeline.publication.base_copy import BaseCopy
from health_pipeline.publication.releases import MART_FILE, current_release, list_releases
from health_pipeline.review import CaseFilter, Ledger
from health_pipeline.risk import restricted
from health_pipeline.segmentation.adoption import adopt_model
from health_pipeline.segmentation.registry import adoptions
from health_pipeline.settings import REPOSITORY, Settings
from health_pipeline.sources.landing import Landing
from health_pipeline.text import assets as text_assets
from health_pipeline.text.unread import read_unread

LAST = Week(date(2026, 3, 30))
WEEKS = list(weeks_between(LAST.shift(-12), LAST))
QUARTER = Quarter(date(2026, 1, 1))
NOW = datetime(2026, 5, 20, 9, tzinfo=UTC)


def settings_of(home: Path) -> Settings:
    return Settings(home=home)


def utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def copy_of(source: Settings, folder: Path) -> Settings:
    """The same landing and nothing else: what a rebuild starts from."""
    folder.mkdir()
    shutil.copytree(source.landing, folder / "landing")
    return settings_of(folder)


@pytest.fixture(scope="module")
def handed_over() -> Counter[str]:
    """What was handed to the second process, and whether dbt was started with the run, in thirteen weeks' review."""
    return Counter()


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory, handed_over) -> Settings:
    """Thirteen weeks published in one run; every test that changes something works on a copy."""
    settings = settings_of(tmp_path_factory.mktemp("reviewed") / "home")
    configure_sources(settings, seed=3, accounts=70)
    submit, take = Workers.submit, DbtAhead.take

    def noted(second, work, *arguments):
        handed_over[work.__name__] += 1
        return submit(second, work, *arguments)

    def read(given):
        # what was landed is linked in the second process while this one reads
        handed_over["read_unread"] += list(handed_over)[-2:] == ["fold_the_rest", "give_back_memory"]
        return read_unread(given)

    def counted(ahead, *given):
        process = take(ahead, *given)
        handed_over["dbt"] += process is not None
        return process

    with pytest.MonkeyPatch.context() as patched:
        # as in a large company: a small one's packets are verified in the run's own process
        patched.setattr(restricted, "PACKETS_FOR_SECOND", 1)
        patched.setattr(ahead, "LINKS_FOR_SECOND", 0)
        patched.setattr(Workers, "submit", noted)
        patched.setattr(DbtAhead, "take", counted)
        patched.setattr(text_assets, "read_unread", read)
        outcome = run_weekly(settings, WEEKS)
    assert outcome.is_published
    return settings


@pytest.fixture
def copied(reviewed, tmp_path) -> Settings:
    """A state folder of its own with everything that is published."""
    home = tmp_path / "home"
    shutil.copytree(reviewed.home, home, symlinks=True)
    return settings_of(home)


def test_thirteen_weeks_are_one_run_and_one_release_with_every_table(reviewed):
    release = current_release(reviewed)
    assert [entry.name for entry in list_releases(reviewed)] == [release.name]
    assert release.published_weeks == tuple(WEEKS)
    with dagster_instance(reviewed) as instance:
        assert len(instance.get_runs()) == 1
    with duckdb.connect(str(reviewed.published / "current" / "customer_health.duckdb"), read_only=True) as mart:
        tables = {row[0] for row in mart.execute("select table_name from duckdb_tables()").fetchall()}
        assert tables >= set(mart_tables())
        rows = mart.execute("select week, count(*), count(distinct account_id) from account_health_weekly group by 1")
        counts = {week: (rows_, accounts) for week, rows_, accounts in rows.fetchall()}
        assert sorted(counts) == [week.monday for week in WEEKS]
        assert all(rows_ == accounts > 40 for rows_, accounts in counts.values())
        worst = mart.execute(
            "select max(abs(score - total)) from account_health_weekly join (select account_id, week, "
            "sum(contribution) as total from score_contributions_weekly group by all) using (account_id, week)"
        ).fetchone()
        assert worst[0] < 1e-9
        statuses = {row[0] for row in mart.execute("select distinct tier from account_health_weekly").fetchall()}
        assert statuses <= {"at_risk", "watch", "healthy", "expansion_ready", "not_scored"}
        assert len(statuses) >= 3


def test_other_processes_build_verify_and_judge_with_the_same_outcome(reviewed, handed_over):
    # truncation below rebuilds weeks without the second process, and finds the same content
    once = (
        "dbt",
        "fold_landed_so_far",
        "fold_the_rest",
        "give_back_memory",
        "read_unread",
        "prepare",
        "evaluate_tables",
        "check_chain",
    )
    assert handed_over.keys() == {"verify_briefs", *once}
    assert handed_over["verify_briefs"] >= len(WEEKS)
    assert {handed_over[name] for name in once} == {1}


def test_truncation_leaves_every_earlier_week_as_it_was(reviewed, tmp_path):
    assert_truncation_changes_nothing(reviewed, tmp_path, [7])


@pytest.mark.long
def test_truncation_at_three_mondays_in_turn(reviewed, tmp_path):
    assert_truncation_changes_nothing(reviewed, tmp_path, [3, 7, 11])


def assert_truncation_changes_nothing(reviewed, tmp_path, mondays):
    """What came in after a Monday is taken away, the weeks so far are built, then the rest comes load by load."""
    known = reviewed_slices = current_release(reviewed).manifest["slices"]
    truncated = copy_of(reviewed, tmp_path / "truncated")
    cutoff_hours = load_company(None).model.cutoff_hours
    records = Landing(truncated.landing, truncated.quarantine).loads()
    aside = tmp_path / "aside"
    aside.mkdir()
    before = 0
    for kept in (*mondays, len(WEEKS)):
        known_at = WEEKS[kept - 1].known_at(cutoff_hours)
        for path in aside.iterdir():
            path.rename(truncated.landing / "source_load" / path.name)
        later = [record for record in records if record.mode == "incremental" and utc(record.loaded_at) > known_at]
        for record in later:
            (path,) = (truncated.landing / "source_load").glob(f"*{record.load_id}*")
            path.rename(aside / path.name)
        assert later or kept == len(WEEKS), "no load was taken away: the test would prove nothing"
        run_weekly(truncated, WEEKS[before:kept])
        slices = current_release(truncated).manifest["slices"]
        compared = 0
        for table, by_week in slices.items():
            for week, content in by_week.items():
                assert known[table][week] == content, f"{table} of {week} depends on what came in after {known_at}"
                compared += 1
        assert compared >= kept * 8
        before = kept
    assert slices == reviewed_slices


@pytest.mark.long
def test_segments_are_fitted_adopted_and_in_force_from_the_next_week_on(copied):
    outcome = run_quarterly(copied, QUARTER)
    assert outcome.is_published
    models = read_published(copied, "segment_models").to_pylist()
    assert {row["quarter"] for row in models} == {QUARTER.first_day}
    (recommended,) = (row["segment_model_id"] for row in models if row["is_recommended"])
    assigned = read_published(copied, "segment_assignments_quarterly")
    assert assigned.num_rows == read_published(copied, "account_features_weekly", weeks=[LAST]).num_rows

    (adopted,) = adoptions(copied.ledger_url)
    effective = LAST.shift(2).monday
    assert (adopted.adopted_by, adopted.effective_from) == ("policy:first_automatic", effective)
    with pytest.raises(LookupError, match=recommended):
        adopt_model(copied, "segments-of-nobody", "lead@example.com", "reviewed", NOW)
    assert adopt_model(copied, recommended, "lead@example.com", "reviewed", NOW) == effective
    assert adoptions(copied.ledger_url) == [adopted]
    run_weekly(copied, [LAST.shift(1), LAST.shift(2)])
    health = read_published(copied, "account_health_weekly", weeks=[LAST.shift(1), LAST.shift(2)]).to_pylist()
    by_week = {
        week.monday: {row["segment_model_id"] for row in health if row["week"] == week.monday}
        for week in (LAST.shift(1), LAST.shift(2))
    }
    assert by_week == {LAST.shift(1).monday: {None}, effective: {recommended}}
    assert not run_quarterly(copied, QUARTER).is_published


def test_publishing_alone_cannot_go_round_the_gate(copied):
    before = current_release(copied).name
    with dagster_instance(copied) as instance:
        definitions = build_definitions(copied)
        job = definitions.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey("release")],
            partition_key=str(LAST),
            raise_on_error=False,
        )
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert "built no candidate" in str(failure.step_failure_data.error)
    assert current_release(copied).name == before


@pytest.mark.long
def test_two_runs_wait_for_each_other_and_publish_once_while_a_reader_reads(copied):
    script = textwrap.dedent("""
        import duckdb, sys
        mart = duckdb.connect(sys.argv[1], read_only=True)
        count = lambda: mart.execute("select count(*), max(week) from account_health_weekly").fetchone()
        first = count()
        print("open", flush=True)
        sys.stdin.readline()
        assert count() == first
        print(first[1], flush=True)
    """)
    mart = copied.published / "current" / "customer_health.duckdb"
    reader = subprocess.Popen(
        [sys.executable, "-c", script, str(mart)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout.readline() == "open\n"

    command = [sys.executable, "-m", "health_pipeline.cli", "weekly", "--week", str(LAST.shift(1))]
    environment = {**os.environ, "HEALTH_HOME": str(copied.home)}
    runs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    outputs = [run.communicate(timeout=240)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert sum("Published r000002" in text for text in outputs) == 1
    assert sum("Nothing to publish" in text for text in outputs) == 1
    assert sum("waiting_for_run" in text for text in outputs) == 1
    assert len(list_releases(copied)) == 2
    assert current_release(copied).published_weeks[-1] == LAST.shift(1)

    answer, _ = reader.communicate("go on\n", timeout=30)
    assert (reader.returncode, answer.strip()) == (0, str(LAST))


def test_a_run_that_stops_before_its_first_step_says_why(copied):
    history = copied.published / "history.jsonl"
    lost = json.loads(history.read_text().splitlines()[-1]) | {
        "sequence": 99,
        "release": "r000099-20260401T060000-0000abcd",
    }
    with history.open("a") as events:
        events.write(json.dumps(lost) + "\n")
    with pytest.raises(RunFailedError, match=r"(?s)r000099-20260401T060000-0000abcd.*\(run [0-9a-f-]{36}\)"):
        run_weekly(copied, [LAST])


@pytest.mark.long
def test_a_changed_policy_changes_no_published_week_unless_it_is_restated(copied, tmp_path, monkeypatch):
    policy = tmp_path / "policy"
    policy.mkdir()
    document = yaml.safe_load((BUILT_IN / "health_score.yaml").read_text())
    first = (
        next(iter(document["measures"].values())) if isinstance(document["measures"], dict) else document["measures"][0]
    )
    first["weight"] = first["weight"] * 3
    (policy / "health_score.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    changed = Settings(home=copied.home, policy=policy)
    before = current_release(copied)
    with pytest.raises(RunFailedError, match=f"(?s){LAST}.*--restate REASON"):
        run_weekly(changed, [LAST])
    assert current_release(copied).name == before.name

    take, taken = BaseCopy.take, []
    monkeypatch.setattr(BaseCopy, "take", lambda *given: taken.append(take(*given)) or taken[-1])
    outcome = run_weekly(changed, [LAST], restate_reason="weights corrected")
    assert outcome.is_published
    assert taken == [before.manifest["files"][MART_FILE]]
    manifest = current_release(copied).manifest
    assert (manifest["restated"], manifest["reason"]) == ([str(LAST)], "weights corrected")
    earlier = {
        table: {week: value for week, value in slices.items() if week != str(LAST)}
        for table, slices in manifest["slices"].items()
    }
    assert earlier == {
        table: {week: value for week, value in slices.items() if week != str(LAST)}
        for table, slices in before.manifest["slices"].items()
    }


def test_the_plan_is_emitted_and_the_report_is_written(reviewed):
    folder = reviewed.emitted / str(LAST)
    lines = [json.loads(line) for line in (folder / "action_plan.jsonl").read_text().splitlines()]
    release = current_release(reviewed).name
    assert lines and {line["release"] for line in lines} == {release}
    assert [line["plan_rank"] for line in lines] == sorted(line["plan_rank"] for line in lines)
    unowned = [line["is_unowned"] for line in lines]
    assert unowned == sorted(unowned, reverse=True)
    report = (reviewed.reports / f"weekly-{LAST}.html").read_text()
    assert release in report


def test_dagsters_ui_shows_the_week_in_a_sentence_a_sparkline_and_numbers_to_plot(reviewed):
    newest = str(current_release(reviewed).published_weeks[-1])
    with dagster_instance(reviewed) as instance:

        def shown(asset):
            """What the UI shows of an asset, by week: the newest first."""
            found = instance.fetch_materializations(dg.AssetKey(asset), limit=200).records
            latest = {record.partition_key: record.asset_materialization.metadata for record in reversed(found)}
            return {week: {name: value.value for name, value in values.items()} for week, values in latest.items()}

        report, health = shown("weekly_report")[newest], shown("account_health_weekly")
    page = (reviewed.reports / f"weekly-{newest}.html").read_text()
    assert Path(report["report (open this file)"]).name == f"weekly-{newest}.html"
    assert f'<p class="verdict">{report["in one sentence"]}</p>' in page
    drawn = report["accounts by tier"]
    assert len(drawn) < 1000 and "](data:image/svg+xml;" in drawn
    rows = read_published(reviewed, "account_health_weekly").to_pandas()
    by_week = rows.assign(is_at_risk=rows["effective_tier"] == "at_risk").groupby("week")
    counts = {str(week): [len(of_week), int(of_week["is_at_risk"].sum())] for week, of_week in by_week}
    plotted = {
        week: [values["dagster/partition_row_count"], values["accounts at risk"]] for week, values in health.items()
    }
    assert plotted == counts
    assert drawn.startswith(f"![at risk {counts[newest][1]}, ")
    assert health[newest]["mean score"] == pytest.approx(
        rows.loc[rows["week"].astype(str) == newest, "score"].mean(), abs=1e-3
    )
    tiers = set(rows.loc[rows["week"].astype(str) == newest, "effective_tier"])
    assert all(f"| {tier} |" in health[newest]["newest week"] for tier in tiers)


def test_every_packet_of_the_newest_week_is_a_case_once_and_a_second_intake_adds_nothing(copied):
    with duckdb.connect(str(copied.published / "current" / "customer_health.duckdb"), read_only=True) as mart:
        rows = mart.execute("select packet_id, packet_hash from risk_packets where week = ?", [LAST.monday]).fetchall()
    packets = dict(rows)
    assert len(packets) == len(rows) > 0
    with Ledger.open(copied) as ledger:
        risks = [case for case in ledger.cases() if case.audit is None]
        assert {case.case_id: case.packet_hash for case in risks} == packets
        assert {case.state for case in risks} == {"detected"}
        drawn = [case.case_id for case in ledger.cases(CaseFilter(states=["drawn"]))]
        assert len(drawn) == load_exception_queue(None).model.random_audit.accounts_per_week
        detected = [event.case_id for event in ledger.events(types=["risk_detected"])]
        assert sorted(detected) == sorted(packets)
        head = ledger.head()
        again = ledger.intake(current_release(copied))
        assert (again.detected, again.unchanged, again.drawn) == (0, len(packets), 0)
        assert ledger.head() == head
        assert ledger.verify().problems == ()


def test_the_notebook_runs_from_its_first_cell_to_its_last(reviewed, monkeypatch):
    monkeypatch.setenv("HEALTH_HOME", str(reviewed.home))
    notebook = json.loads((REPOSITORY / "notebooks" / "first_look.ipynb").read_text(encoding="utf-8"))
    assert all(not cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    names: dict[str, object] = {}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"first_look.ipynb cell {number}", "exec"), names)
    release = current_release(reviewed)
    accounts = len(read_published(reviewed, "account_health_current"))
    assert names["explained"]["contribution"].sum() == pytest.approx(names["score"], abs=1e-9)
    assert names["tiers"].query("week == @names['tiers'].week.max()")["accounts"].sum() == accounts
    published = read_published(reviewed, "account_health_weekly", [release.published_weeks[-1]]).to_pandas()
    scored = names["moved"].merge(published, on="account_id")
    # the scorer called on a data frame gives what was published
    assert scored["before"].to_numpy() == pytest.approx(scored["score"].to_numpy(dtype=float), nan_ok=True)
    assert scored["change"].abs().max() > 0.1
    # thirteen weeks are too few for an outcome
    assert names["figures"]["value"].isna().all()
    assert set(names["figures"]["note"]) == {"no reading to judge"}
