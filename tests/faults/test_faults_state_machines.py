"""Landing, publishing and the ledger under whatever people, machines and time do in whatever order."""

from __future__ import annotations

import shutil
import tempfile
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from mart_builder import FIRST_WEEK, build_tables, built_at
from publishing import build, passing_verdict
from reviewing import CSM, LEAD, OTHER_CSM, SetClock, add_people, packet

from health_pipeline.policy.company import load_company
from health_pipeline.publication import candidate as candidates
from health_pipeline.publication import gate, releases
from health_pipeline.publication.candidate import Candidate, Unchanged
from health_pipeline.publication.errors import StaleBaseError
from health_pipeline.publication.history import read_history
from health_pipeline.quality.ledger_chain import verify_chain
from health_pipeline.review import ConflictError, Decision, Ledger
from health_pipeline.settings import Settings
from health_pipeline.sources import landing as landings
from health_pipeline.sources.extract import Extract, TableExtract
from health_pipeline.sources.landing import Landing
from health_pipeline.sources.volume import LOADS_NEEDED, LOADS_REMEMBERED

CHECKS = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
QUICK = settings(max_examples=3, stateful_step_count=8, suppress_health_check=CHECKS, derandomize=True)
# Each step of a publication builds a release.
FEW = settings(QUICK, max_examples=1, stateful_step_count=6)
LONG = settings(max_examples=60, stateful_step_count=25, suppress_health_check=CHECKS)


class PowerCut(BaseException):
    """The process ends here: nothing of it that handles errors runs as if it were one."""


class InAFolder(RuleBasedStateMachine):
    """A state folder that goes with the machine."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="faults-machine-"))
        self.settings = Settings(home=self.folder / "home")

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


MONDAY = datetime(2026, 3, 2, 2)
COMPANY = load_company(None).model
SIZES = {"usual": 60, "another": 70, "far too small": 4}


def delivery(first: int, rows: int) -> Extract:
    values = {
        "invoice_id": [f"i{first + number}" for number in range(rows)],
        "source_account_id": ["a1"] * rows,
        "status": ["paid"] * rows,
        "currency": ["USD"] * rows,
        "total": [100.25] * rows,
        "amount_due": [0] * rows,
        "issued_at": [datetime(2026, 1, 1)] * rows,
    }
    return Extract("billing", "stripe", "incremental", (TableExtract("billing_invoice", pa.table(values)),))


class LandingMachine(InAFolder):
    """Deliveries come, come again, are broken, held, accepted, rejected; power fails at any step of a load."""

    def __init__(self) -> None:
        super().__init__()
        self.now = MONDAY
        self.first = 0
        self.delivered: dict[str, Extract] = {}
        self.committed: list[str] = []
        self.held: set[str] = set()

    def landing(self) -> Landing:
        """As the next process finds it."""
        return Landing(self.folder / "landing", self.folder / "quarantine")

    @rule(size=st.sampled_from(sorted(SIZES)))
    def something_new_is_delivered(self, size: str) -> None:
        self.now += timedelta(weeks=1)
        extract = delivery(self.first, SIZES[size])
        self.first += 1000
        result = self.landing().load(extract, COMPANY, self.now)
        # Four loads say what is usual; one far smaller than all that are remembered waits for a person.
        is_odd = len(self.committed) >= LOADS_NEEDED and size == "far too small" and not self.has_been_small_of_late
        assert result.status == ("held" if is_odd else "committed")
        (self.held.add if is_odd else self.committed.append)(result.load_id)
        self.delivered[result.load_id] = extract

    @property
    def has_been_small_of_late(self) -> bool:
        remembered = self.committed[-LOADS_REMEMBERED:]
        return any(self.delivered[load].tables[0].data.num_rows < 10 for load in remembered)

    @precondition(lambda self: self.committed)
    @rule(data=st.data())
    def the_same_is_delivered_again(self, data: st.DataObject) -> None:
        load = data.draw(st.sampled_from(self.committed))
        self.now += timedelta(weeks=1)
        assert self.landing().load(self.delivered[load], COMPANY, self.now).status == "duplicate"

    @rule()
    def a_broken_one_is_delivered(self) -> None:
        broken = delivery(self.first, 3).tables[0].data.drop_columns(["total"])
        extract = Extract("billing", "stripe", "incremental", (TableExtract("billing_invoice", broken),))
        assert self.landing().load(extract, COMPANY, self.now).status == "refused"

    @precondition(lambda self: self.held)
    @rule(is_right=st.booleans())
    def a_person_decides(self, is_right: bool) -> None:
        load = min(self.held)
        self.held.remove(load)
        if is_right:
            result = self.landing().accept(load, "Ana Ruiz", self.now)
            assert result.status == "committed"
            self.committed.append(load)
        else:
            self.landing().reject(load, "Ana Ruiz", "half of the export", self.now)

    @rule(point=st.sampled_from(("landing_table", "landing_record", "landing_committed")))
    def power_fails_in_a_load(self, point: str) -> None:
        self.now += timedelta(weeks=1)
        extract = delivery(self.first, SIZES["usual"])
        self.first += 1000
        with pytest.MonkeyPatch.context() as patched, pytest.raises(PowerCut):
            patched.setattr(landings, "crash_point", cut_at(point))
            self.landing().load(extract, COMPANY, self.now)
        result = self.landing().load(extract, COMPANY, self.now)
        assert result.status == ("duplicate" if point == "landing_committed" else "committed")
        load = self.landing().loads()[-1].load_id
        self.committed.append(load)
        self.delivered[load] = extract

    @invariant()
    def what_is_committed_is_there_once_whole_and_in_order(self) -> None:
        loads = self.landing().loads()
        assert [load.load_id for load in loads] == self.committed
        assert [load.load_sequence for load in loads] == list(range(1, len(loads) + 1))
        folders = {
            path.relative_to(self.folder / "landing").as_posix() for path in self.folder.glob("landing/[a-z]*/*/*")
        }
        assert {load.folder for load in loads} <= folders
        assert {load.load_id for load in self.landing().quarantined() if load.status == "held"} == self.held


def cut_at(point: str) -> Any:
    def cut(name: str) -> None:
        if name == point:
            raise PowerCut(name)

    return cut


@cache
def first_home() -> Path:
    """A state folder with two releases, made once for every example."""
    folder = Path(tempfile.mkdtemp(prefix="faults-first-")) / "home"
    for offset in range(2):
        publish_week(Settings(home=folder), offset)
    return folder


def publish_week(home: Settings, offset: int, crash_at: str = "") -> str | None:
    """What a run does, from cleaning to the flip; the release, None where what it found is published already."""
    week = FIRST_WEEK.shift(offset)
    releases.clean_scratch(home)
    tables = build_tables([week])
    with pytest.MonkeyPatch.context() as patched:
        for module in (candidates, gate):
            patched.setattr(module, "crash_point", cut_at(crash_at))
        built = build(home, [week], tables)
        if isinstance(built, Unchanged):
            return None
        return gate.publish(home, built, passing_verdict(built, tables), built_at(week)).name


CRASHES_BEFORE = (
    "candidate.after_copy",
    "candidate.before_manifest",
    "publish.after_checks",
    "publish.before_move",
    "publish.after_move",
)
CRASHES_ON_RECORD = ("publish.before_flip", "publish.after_flip", "publish.before_prune")


class PublishingMachine(InAFolder):
    """Weeks are published, runs die, publishers wake up late, people roll back: `current` is what the history says."""

    sleeping: tuple[Candidate, dict[str, pa.Table], str, int] | None = None

    @initialize()
    def begin(self) -> None:
        shutil.copytree(first_home(), self.settings.home, symlinks=True)

    @property
    def current(self) -> releases.Release:
        current = releases.current_release(self.settings)
        assert current is not None
        return current

    @property
    def weeks(self) -> int:
        return len(self.current.published_weeks)

    @rule()
    def a_run_publishes_the_next_week(self) -> None:
        before = self.weeks
        assert publish_week(self.settings, before) == self.current.name
        assert self.weeks == before + 1

    @rule()
    def a_run_publishes_the_same_week_again(self) -> None:
        releases.clean_scratch(self.settings)
        before = self.current
        assert publish_week(self.settings, self.weeks - 1) is None
        assert self.current == before

    @rule(point=st.sampled_from(CRASHES_BEFORE + CRASHES_ON_RECORD))
    def a_run_dies(self, point: str) -> None:
        releases.clean_scratch(self.settings)
        before = self.weeks
        with pytest.raises(PowerCut):
            publish_week(self.settings, before, point)
        releases.clean_scratch(self.settings)
        assert self.weeks == before + (point in CRASHES_ON_RECORD)

    @precondition(lambda self: len(releases.list_releases(self.settings)) > 1)
    @rule(data=st.data())
    def a_person_rolls_back(self, data: st.DataObject) -> None:
        others = [
            release.name for release in releases.list_releases(self.settings) if release.name != self.current.name
        ]
        name = data.draw(st.sampled_from(others))
        releases.rollback(self.settings, name, "wrong rates", "ana@example.com", built_at(FIRST_WEEK))
        assert self.current.name == name
        event = read_history(self.settings)[-1]
        assert (event.event, event.release, event.by) == ("rollback", name, "ana@example.com")

    @rule()
    def a_publisher_falls_asleep_before_the_gate(self) -> None:
        week = FIRST_WEEK.shift(self.weeks)
        tables = build_tables([week])
        built = build(self.settings, [week], tables)
        assert isinstance(built, Candidate)
        # Its folder is kept aside: the next run cleans the scratch, and a stopped process would hold its files.
        aside = self.folder / built.id
        shutil.rmtree(aside, ignore_errors=True)
        built.folder.replace(aside)
        self.sleeping = (built, tables, self.current.name, len(read_history(self.settings)))

    @precondition(lambda self: self.sleeping)
    @rule()
    def it_wakes_up(self) -> None:
        assert self.sleeping is not None
        built, tables, base, events = self.sleeping
        self.sleeping = None
        built.folder.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / built.id).replace(built.folder)
        before = self.current
        verdict = passing_verdict(built, tables)
        if len(read_history(self.settings)) == events:
            assert before.name == base
            gate.publish(self.settings, built, verdict, built_at(FIRST_WEEK))
            return
        with pytest.raises(StaleBaseError):
            gate.publish(self.settings, built, verdict, built_at(FIRST_WEEK))
        assert self.current == before

    @invariant()
    def what_is_current_is_whole_and_what_the_history_says(self) -> None:
        if not self.settings.home.exists():
            return
        events = read_history(self.settings)
        assert [event.sequence for event in events] == sorted({event.sequence for event in events})
        assert events[-1].release == self.current.name
        assert releases.damages(self.current) == []
        with duckdb.connect(str(self.current.file), read_only=True) as connection:
            (found,) = connection.execute(
                "select list(distinct week order by week) from account_health_weekly"
            ).fetchall()
        assert found[0] == [FIRST_WEEK.shift(number).monday for number in range(self.weeks)]


LEDGER_FORMS: dict[str, dict[str, str]] = {
    "start_review": {},
    "open_evidence": {"evidence_id": "ev-1"},
    "defer": {"until": "2026-12-01", "reason": "later"},
}


class LedgerMachine(InAFolder):
    """People decide, repeat a form, come second, restart; the storage keeps what was acknowledged, once, chained."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = SetClock()
        self.ledger = Ledger.open(self.settings, self.clock)
        add_people(self.ledger)
        self.ledger.take_in("r000001", [packet()])
        self.acknowledged: list[tuple[str, Any, tuple[Any, ...]]] = []
        self.number = 0

    def teardown(self) -> None:
        self.ledger.close()
        super().teardown()

    def version(self) -> int:
        return self.ledger.case("p-1").version

    @rule(
        actor=st.sampled_from((CSM, LEAD, OTHER_CSM)),
        action=st.sampled_from(("start_review", "open_evidence", "defer")),
    )
    def somebody_decides(self, actor: str, action: str) -> None:
        self.number += 1
        asked = ("p-1", action, actor, self.version(), f"key-{self.number}", LEDGER_FORMS[action])
        result = self.ledger.decide(*asked)
        if isinstance(result, Decision):
            self.acknowledged.append((result.event.event_id, result.event.hash, asked))

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data())
    def the_same_form_comes_again(self, data: st.DataObject) -> None:
        event_id, _, asked = data.draw(st.sampled_from(self.acknowledged))
        before = self.ledger.head()
        again = self.ledger.decide(*asked)
        assert isinstance(again, Decision)
        assert again.event.event_id == event_id
        assert self.ledger.head() == before

    @rule()
    def somebody_comes_second(self) -> None:
        self.number += 1
        before, stale = self.ledger.head(), self.version() - 1
        with pytest.raises(ConflictError):
            self.ledger.decide("p-1", "start_review", CSM, stale, f"key-{self.number}", {})
        assert self.ledger.head() == before

    @rule(days=st.integers(0, 40))
    def time_passes(self, days: int) -> None:
        self.clock.pass_days(days)

    @rule()
    def the_desk_is_started_anew(self) -> None:
        self.ledger.close()
        self.ledger = Ledger.open(self.settings, self.clock)

    @invariant()
    def every_acknowledged_decision_is_there_and_the_chain_holds(self) -> None:
        head = self.ledger.head()
        assert head is not None
        assert verify_chain(self.settings.ledger_url, [head]).problems == ()
        hashes = {event.event_id: event.hash for event in self.ledger.events("p-1")}
        assert [hashes.get(event_id) for event_id, _, _ in self.acknowledged] == [
            kept for _, kept, _ in self.acknowledged
        ]


class TestLanding(LandingMachine.TestCase):
    settings = QUICK


class TestPublishing(PublishingMachine.TestCase):
    settings = FEW


class TestLedger(LedgerMachine.TestCase):
    settings = QUICK


@pytest.mark.long
class TestLandingLong(LandingMachine.TestCase):
    settings = LONG


@pytest.mark.long
class TestPublishingLong(PublishingMachine.TestCase):
    settings = LONG


@pytest.mark.long
class TestLedgerLong(LedgerMachine.TestCase):
    settings = LONG
