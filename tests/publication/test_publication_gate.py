"""The gate: who tries to go round it, who comes too late, who dies on the way, and what readers see meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from mart_builder import FIRST_WEEK, build_tables, built_at, naive, weeks_from
from publishing import build, passing_verdict, publish_weeks, with_result

from health_pipeline.observability.crash_points import ENVIRONMENT, EXIT_CODE
from health_pipeline.publication.candidate import Candidate, Unchanged
from health_pipeline.publication.content_hashes import OUTSIDE_CONTENT
from health_pipeline.publication.errors import PublicationError, PublicationRefusedError, StaleBaseError
from health_pipeline.publication.files import file_sha256, read_json, write_json
from health_pipeline.publication.gate import publish
from health_pipeline.publication.history import history_path, read_history
from health_pipeline.publication.releases import (
    MANIFEST_FILE,
    Release,
    candidates_folder,
    clean_scratch,
    current_release,
    damages,
    list_releases,
    prune,
    publish_lock,
    rollback,
)
from health_pipeline.quality.verdict import Verdict
from health_pipeline.settings import Settings

PROGRAM = Path(__file__).with_name("publishing.py")
WEEK = FIRST_WEEK.shift(3)
A_CHECK = "account_health_weekly.score_range"
A_WARNING = "across_tables.match_rate_above_floor"


def make(settings: Settings) -> tuple[Candidate, Verdict]:
    tables = build_tables([WEEK])
    candidate = build(settings, [WEEK], tables)
    assert isinstance(candidate, Candidate)
    return candidate, passing_verdict(candidate, tables)


def start(settings: Settings, offset: int, *stop_at: str, crash_at: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(settings.home), str(offset), *stop_at],
        env={**os.environ, ENVIRONMENT: crash_at},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_stopped(process: subprocess.Popen[str]) -> None:
    state = Path(f"/proc/{process.pid}/stat")
    deadline = time.monotonic() + 120
    while state.read_text().rpartition(") ")[2][0] != "T":
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the publisher never stopped"
        time.sleep(0.02)


def test_a_passing_candidate_becomes_current(published: Settings) -> None:
    candidate, verdict = make(published)
    release = publish(published, candidate, verdict, built_at(WEEK) + timedelta(minutes=5))
    assert current_release(published) == release
    assert release.name == candidate.id
    assert release.name.startswith("r000002-20261102T060000-")
    assert release.manifest["published_at"] == "2026-11-02T06:05:00"
    assert release.manifest["verdict"]["verdict_id"] == "v-test"
    assert len(release.manifest["verdict"]["checks_evaluated"]) == len(verdict.results)
    assert damages(release) == []
    assert [event.release for event in read_history(published)][-1] == release.name
    assert list(candidates_folder(published).iterdir()) == []
    assert (published.published / "current").readlink() == Path("releases") / release.name


def test_released_files_are_read_only(published: Settings) -> None:
    release = current_release(published)
    assert release is not None
    modes = {path.stat().st_mode & 0o777 for path in release.folder.rglob("*") if path.is_file()}
    assert modes == {0o444}


def drop_check(verdict: Verdict) -> Verdict:
    return replace(verdict, results=tuple(result for result in verdict.results if result.check != A_CHECK))


def lower_severity(verdict: Verdict) -> Verdict:
    return with_result(verdict, A_CHECK, severity="info", passed=False)


WRONG_VERDICTS: dict[str, tuple[Callable[[Verdict], Verdict | None], str]] = {
    "none": (lambda verdict: None, "has no verdict; audit it"),
    "failed": (lambda verdict: with_result(verdict, A_CHECK, passed=False), "1 critical failures"),
    "not evaluated": (
        lambda verdict: with_result(verdict, A_WARNING, evaluated=False),
        "1 required checks were not evaluated, such as across_tables.match_rate_above_floor",
    ),
    "a check lost": (drop_check, f"1 required checks were not evaluated, such as {A_CHECK}"),
    "a check softened": (lower_severity, "by another severity"),
    "empty": (lambda verdict: replace(verdict, results=()), "required checks were not evaluated"),
    "of another candidate": (
        lambda verdict: replace(verdict, candidate_id="r000009-x"),
        "is about candidate r000009-x",
    ),
    "of another file": (lambda verdict: replace(verdict, file_sha256="0" * 64), "was changed after its audit"),
    "of another manifest": (lambda verdict: replace(verdict, manifest_sha256="0" * 64), "manifest of candidate"),
    "of another base": (
        lambda verdict: replace(verdict, base_release="r000000-x"),
        "The verdict speaks of base r000000-x",
    ),
    "without dbt's record": (lambda verdict: replace(verdict, dbt_table_hashes=()), "dbt's record does not speak of"),
    "of other dbt tables": (
        lambda verdict: replace(
            verdict,
            dbt_table_hashes=tuple(
                (name, "0" * 32 if name == "accounts" else value) for name, value in verdict.dbt_table_hashes
            ),
        ),
        "accounts in the candidate is not what dbt invocation invocation-1 built",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_VERDICTS)
def test_a_wrong_verdict_is_refused(published: Settings, wrong: str) -> None:
    change, sentence = WRONG_VERDICTS[wrong]
    before = current_release(published)
    candidate, verdict = make(published)
    with pytest.raises(PublicationRefusedError) as refused:
        publish(published, candidate, change(verdict), built_at(WEEK))
    assert sentence in str(refused.value)
    assert current_release(published) == before
    assert candidate.folder.is_dir()


def test_a_failed_warning_does_not_hold_back(published: Settings) -> None:
    candidate, verdict = make(published)
    release = publish(published, candidate, with_result(verdict, A_WARNING, passed=False), built_at(WEEK))
    assert release.manifest["verdict"]["warnings"] == [A_WARNING]


def test_a_file_changed_after_the_audit_is_refused(published: Settings) -> None:
    candidate, verdict = make(published)
    with duckdb.connect(str(candidate.file)) as connection:
        connection.execute("update account_health_weekly set tier = 'healthy', score = 99")
    with pytest.raises(PublicationRefusedError, match="was changed after its audit"):
        publish(published, candidate, verdict, built_at(WEEK))


def test_what_is_no_mart_any_more_is_refused_as_changed(published: Settings) -> None:
    candidate, verdict = make(published)
    candidate.file.write_bytes(b"a power cut")
    with pytest.raises(PublicationRefusedError, match="was changed after its audit"):
        publish(published, candidate, verdict, built_at(WEEK))


def test_a_parquet_file_changed_after_the_audit_is_refused(published: Settings) -> None:
    candidate, verdict = make(published)
    path = candidate.folder / f"parquet/account_health_weekly/{WEEK}.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PublicationRefusedError, match=f"{WEEK}.parquet of candidate .* was changed"):
        publish(published, candidate, verdict, built_at(WEEK))


def test_an_additional_file_is_refused(published: Settings) -> None:
    candidate, verdict = make(published)
    (candidate.folder / "customer_health.duckdb.wal").write_bytes(b"")
    with pytest.raises(PublicationRefusedError, match="has additional ones"):
        publish(published, candidate, verdict, built_at(WEEK))


def test_dbt_tables_changed_between_dbt_and_the_candidate_are_refused(published: Settings) -> None:
    tables = build_tables([WEEK])
    honest = dict(tables)
    features = tables["account_features_weekly"]
    tables["account_features_weekly"] = features.slice(0, 1)
    candidate = build(published, [WEEK], tables)
    assert isinstance(candidate, Candidate)
    with pytest.raises(PublicationRefusedError, match="account_features_weekly in the candidate is not what dbt"):
        publish(published, candidate, passing_verdict(candidate, honest), built_at(WEEK))


def test_a_moved_base_is_stale(published: Settings) -> None:
    candidate, verdict = make(published)
    other = publish_weeks(published, [WEEK])
    with pytest.raises(StaleBaseError, match=f"{other.name} is current now; run again"):
        publish(published, candidate, verdict, built_at(WEEK))
    assert current_release(published) == other


def test_a_candidate_from_before_a_rollback_and_back_is_stale(published: Settings) -> None:
    first = current_release(published)
    assert first is not None
    second = publish_weeks(published, [WEEK])
    tables = build_tables([WEEK.shift(1)])
    candidate = build(published, [WEEK.shift(1)], tables)
    assert isinstance(candidate, Candidate)
    at = built_at(WEEK)
    rollback(published, first.name, "wrong rates", "ana@example.com", at)
    rollback(published, second.name, "rates were right", "ana@example.com", at)
    with pytest.raises(StaleBaseError, match="older than the newest publication"):
        publish(published, candidate, passing_verdict(candidate, tables), at)


def test_rollback_is_recorded_and_built_on(published: Settings) -> None:
    first = current_release(published)
    assert first is not None
    second = publish_weeks(published, [WEEK])
    rollback(published, first.name, "wrong rates", "ana@example.com", built_at(WEEK))
    assert current_release(published) == first
    event = read_history(published)[-1]
    assert (event.event, event.release, event.replaced, event.reason, event.by, event.sequence) == (
        "rollback",
        first.name,
        second.name,
        "wrong rates",
        "ana@example.com",
        3,
    )
    third = publish_weeks(published, [WEEK], build_tables([WEEK], scores={("a0000", WEEK): 70.0}))
    assert third.manifest["base_release"] == first.name
    assert third.sequence == 4
    with duckdb.connect(str(third.file), read_only=True) as connection:
        log = connection.execute("select release, kind, reason from publication_log order by release").fetchall()
    assert log == [
        (first.name, "weekly", None),
        (second.name, "weekly", None),
        ("r000003-rollback", "rollback", "wrong rates (decided by ana@example.com)"),
    ]


@pytest.mark.parametrize(
    ("to_release", "reason", "by", "sentence"),
    [
        ("r999999-x", "why", "ana@example.com", "There is no release 'r999999-x'; the ones kept are: r000001-"),
        ("current", "why", "ana@example.com", "is current already"),
        ("current", " ", "ana@example.com", "A rollback is a recorded act"),
        ("current", "why", "", "A rollback is a recorded act"),
    ],
)
def test_rollbacks_that_are_refused(published: Settings, to_release: str, reason: str, by: str, sentence: str) -> None:
    current = current_release(published)
    assert current is not None
    name = current.name if to_release == "current" else to_release
    with pytest.raises(PublicationError) as refused:
        rollback(published, name, reason, by, built_at(WEEK))
    assert sentence in str(refused.value)


def test_damage_is_found_by_name(published: Settings) -> None:
    release = current_release(published)
    assert release is not None
    (release.folder / "customer_health.duckdb.wal").write_bytes(b"x")
    gone = release.folder / f"parquet/account_health_weekly/{FIRST_WEEK}.parquet"
    gone.unlink()
    release.file.chmod(0o644)
    os.truncate(release.file, 4096)
    assert damages(release) == [
        f"parquet/account_health_weekly/{FIRST_WEEK}.parquet is missing",
        "customer_health.duckdb.wal does not belong there",
        "customer_health.duckdb was changed: its checksum differs",
    ]


def test_what_a_file_browser_leaves_beside_the_releases_plays_no_part(published: Settings) -> None:
    (published.published / "releases" / ".DS_Store").write_bytes(b"")
    release = publish_weeks(published, [WEEK])
    assert current_release(published) == release
    assert [kept.sequence for kept in list_releases(published)] == [1, 2]


def test_retention_keeps_three_and_a_day(published: Settings) -> None:
    names = [release.name for release in list_releases(published)]
    names += [publish_weeks(published, [WEEK.shift(offset)]).name for offset in range(3)]
    # A week apart: three stay.
    assert [release.name for release in list_releases(published)] == names[-3:]
    last = WEEK.shift(2)
    for number in range(3):
        tables = build_tables([last], scores={("a0000", last): 70.0 + number})
        names.append(publish_weeks(published, [last], tables, restate=True, reason="again").name)
    # At the same hour: all of a day stay.
    assert [release.name for release in list_releases(published)] == names[-4:]


def test_retention_keeps_what_is_current(published: Settings) -> None:
    first = current_release(published)
    assert first is not None
    second = publish_weeks(published, [WEEK])
    third = publish_weeks(published, [WEEK.shift(1)])
    rollback(published, first.name, "wrong rates", "ana@example.com", built_at(WEEK))
    fourth = publish_weeks(published, [WEEK], build_tables([WEEK], scores={("a0000", WEEK): 60.0}))
    kept = [release.name for release in list_releases(published)]
    assert kept == [second.name, third.name, fourth.name]
    assert current_release(published) == fourth


def test_what_is_current_is_not_removed_however_old(published: Settings) -> None:
    """After a rollback to the oldest of four, clean-up a month later keeps it; once it is not current, it goes."""
    first = current_release(published)
    assert first is not None
    last = FIRST_WEEK.shift(2)
    newer = [
        publish_weeks(
            published, [last], build_tables([last], scores={("a0000", last): score}), restate=True, reason="again"
        )
        for score in (70.0, 71.0, 72.0)
    ]
    month_later = built_at(last) + timedelta(days=30)
    rollback(published, first.name, "wrong rates", "ana@example.com", built_at(last))
    assert prune(published, month_later) == []
    assert current_release(published) == first
    rollback(published, newer[-1].name, "rates were right", "ana@example.com", built_at(last))
    assert prune(published, month_later) == [first.name]
    assert [release.name for release in list_releases(published)] == [release.name for release in newer]


def test_a_reader_is_not_disturbed(published: Settings) -> None:
    """A reader in another process keeps its release open over publications and clean-up, then opens the new one."""
    reader = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys\n"
            f"path = {str(published.published / 'current' / 'customer_health.duckdb')!r}\n"
            "query = 'select count(*), max(week)::varchar from account_health_weekly'\n"
            "connection = duckdb.connect(path, read_only=True)\n"
            "print(connection.execute(query).fetchone(), flush=True)\n"
            "sys.stdin.readline()\n"
            "print(connection.execute(query).fetchone(), flush=True)\n"
            "connection.close()\n"
            "print(duckdb.connect(path, read_only=True).execute(query).fetchone(), flush=True)\n",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    assert reader.stdin is not None
    first = reader.stdout.readline()
    old = current_release(published)
    assert old is not None
    for offset in range(3):
        publish_weeks(published, [WEEK.shift(offset)])
    assert not old.folder.exists()
    out, error = reader.communicate("\n", timeout=30)
    assert error == ""
    assert [first, *out.splitlines(keepends=True)] == [
        "(6, '2026-10-19')\n",
        "(6, '2026-10-19')\n",
        "(12, '2026-11-09')\n",
    ]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, published_home: Path) -> dict[str, object]:
    """The content of the release that a run of the week gives where nobody kills it."""
    settings = Settings(home=tmp_path_factory.mktemp("undisturbed") / "home")
    shutil.copytree(published_home, settings.home, symlinks=True)
    return content_of(publish_weeks(settings, [WEEK]))


def content_of(release: Release) -> dict[str, object]:
    """Content hashes of every slice and every table but those that say how often it was tried."""
    tables = {name: value for name, value in release.manifest["tables"].items() if name not in OUTSIDE_CONTENT}
    return {"slices": release.manifest["slices"], "tables": tables, "content": release.manifest["content_hash"]}


CRASHES = {
    "candidate.after_copy": "old",
    "candidate.before_manifest": "old",
    "publish.after_checks": "old",
    "publish.before_move": "old",
    "publish.after_move": "old",
    "publish.before_flip": "old",
    "publish.after_flip": "new",
    "publish.before_prune": "new",
}


@pytest.mark.parametrize("point", CRASHES)
def test_a_crash_leaves_the_old_or_the_new_and_a_retry_converges(
    published: Settings, undisturbed: dict[str, object], point: str
) -> None:
    before = current_release(published)
    assert before is not None
    process = start(published, 3, crash_at=point)
    _, error = process.communicate(timeout=60)
    assert process.returncode == EXIT_CODE, error
    after = current_release(published)
    assert after is not None
    assert (after == before) is (CRASHES[point] == "old")
    assert damages(after) == []

    clean_scratch(published)
    tables = build_tables([WEEK])
    built = build(published, [WEEK], tables)
    if isinstance(built, Candidate):
        publish(published, built, passing_verdict(built, tables), built_at(WEEK))
    else:
        assert isinstance(built, Unchanged)
    final = current_release(published)
    assert final is not None
    assert damages(final) == []
    with duckdb.connect(str(final.file), read_only=True) as connection:
        rows = connection.execute(
            "select week, count(*) from account_health_weekly group by week order by week"
        ).fetchall()
    assert rows == [(FIRST_WEEK.shift(n).monday, 2) for n in range(4)]
    assert content_of(final) == undisturbed
    assert list(candidates_folder(published).iterdir()) == []
    assert {release.name for release in list_releases(published)} == {before.name, final.name}


@pytest.mark.parametrize(("point", "is_back"), [("rollback.before_flip", False), ("rollback.after_flip", True)])
def test_a_crash_in_a_rollback_is_finished(published: Settings, point: str, is_back: bool) -> None:
    first = current_release(published)
    assert first is not None
    second = publish_weeks(published, [WEEK])
    program = (
        "from datetime import datetime; from pathlib import Path\n"
        "from health_pipeline.publication.releases import rollback\n"
        "from health_pipeline.settings import Settings\n"
        f"rollback(Settings(home=Path({str(published.home)!r})), {first.name!r}, 'why', 'ana', datetime(2026, 11, 3))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, ENVIRONMENT: point}, check=False)
    assert done.returncode == EXIT_CODE
    current = current_release(published)
    assert current is not None
    assert current.name == (first.name if is_back else second.name)
    clean_scratch(published)
    assert current_release(published) == first


def test_an_unfinished_line_of_the_history_never_took_effect(published: Settings) -> None:
    before = current_release(published)
    with history_path(published).open("ab") as stream:
        stream.write(b'{"sequence": 2, "event": "publ')
    clean_scratch(published)
    assert current_release(published) == before
    release = publish_weeks(published, [WEEK])
    assert [event.release for event in read_history(published)][-1] == release.name


def test_two_publishers_one_wins(published: Settings) -> None:
    # Both build on the same base and wait before the gate; then both are let go at once.
    publishers = [start(published, 3, "before_publish") for _ in range(2)]
    for process in publishers:
        wait_until_stopped(process)
    for process in publishers:
        process.send_signal(signal.SIGCONT)
    outcomes = {process.communicate(timeout=60)[0][:5]: process.returncode for process in publishers}
    assert outcomes == {"r0000": 0, "stale": 3}
    current = current_release(published)
    assert current is not None
    assert current.sequence == 2
    assert [event.sequence for event in read_history(published)] == [1, 2]


def test_a_stopped_publisher_that_wakes_up_is_refused(published: Settings) -> None:
    sleeper = start(published, 3, "before_publish")
    wait_until_stopped(sleeper)
    newest = publish_weeks(published, weeks_from(3, 2))
    sleeper.send_signal(signal.SIGCONT)
    out, error = sleeper.communicate(timeout=60)
    assert sleeper.returncode == 3, error
    assert out.startswith("stale: The candidate was built on r000001-")
    assert current_release(published) == newest


def test_a_publisher_stopped_inside_the_gate_keeps_others_out(published: Settings) -> None:
    sleeper = start(published, 3, "publish.after_checks")
    wait_until_stopped(sleeper)
    candidate, verdict = make(published)
    with pytest.raises(PublicationError, match=r"Another process has been publishing .* for 0\.2 seconds"):
        publish(published, candidate, verdict, built_at(WEEK), lock_timeout=0.2)
    sleeper.send_signal(signal.SIGCONT)
    out, error = sleeper.communicate(timeout=60)
    assert sleeper.returncode == 0, error
    current = current_release(published)
    assert current is not None
    assert out.strip() == current.name
    with pytest.raises(StaleBaseError):
        publish(published, candidate, verdict, built_at(WEEK))


def test_a_killed_publisher_lets_go_of_the_lock(published: Settings) -> None:
    sleeper = start(published, 3, "publish.after_checks")
    wait_until_stopped(sleeper)
    sleeper.kill()
    sleeper.communicate(timeout=30)
    with publish_lock(published, timeout=5):
        pass
    clean_scratch(published)
    assert publish_weeks(published, [WEEK]).sequence == 2


def test_a_damaged_release_is_not_finished_but_rolled_back(published: Settings) -> None:
    first = current_release(published)
    assert first is not None
    process = start(published, 3, crash_at="publish.before_flip")
    process.communicate(timeout=60)
    waiting = list_releases(published)[-1]
    assert waiting.name != first.name
    waiting.file.chmod(0o644)
    os.truncate(waiting.file, 4096)
    with pytest.raises(PublicationError, match="was about to become current and is damaged"):
        clean_scratch(published)
    assert current_release(published) == first
    rollback(published, first.name, "the disk was full", "ana@example.com", built_at(WEEK))
    clean_scratch(published)
    assert current_release(published) == first
    assert publish_weeks(published, [WEEK]).sequence == 4


def test_a_manifest_changed_after_the_audit_is_refused(published: Settings) -> None:
    candidate, verdict = make(published)
    manifest = read_json(candidate.folder / MANIFEST_FILE)
    name = f"parquet/account_health_weekly/{WEEK}.parquet"
    (candidate.folder / name).write_bytes(b"other")
    manifest["files"][name] = file_sha256(candidate.folder / name)
    write_json(candidate.folder / MANIFEST_FILE, manifest)
    with pytest.raises(PublicationRefusedError, match="The manifest of candidate"):
        publish(published, candidate, verdict, built_at(WEEK))


def test_the_day_of_publication_is_naive_utc(published: Settings) -> None:
    release = current_release(published)
    assert release is not None
    assert release.published_at == naive(built_at(FIRST_WEEK.shift(2)))
