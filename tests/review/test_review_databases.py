"""What must hold on SQLite and on PostgreSQL: tables, chain, conflicts, erasing, what is found, what lives beside."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from reviewing import ADMIN, CSM, LEAD, NOW, SetClock, add_people, does, key, packet, until_proposed
from sqlalchemy import text

from health_pipeline.contract.event_chain import ChainHead
from health_pipeline.observability.crash_points import ENVIRONMENT, EXIT_CODE
from health_pipeline.quality.incidents import list_incidents, record_incident
from health_pipeline.quality.ledger_chain import ledger_head, verify_chain
from health_pipeline.review import ConflictError, Decision, Ledger, LedgerError, LedgerTooNewError
from health_pipeline.review.database import SCHEMA_REVISION, open_engine, reading, upgrade
from health_pipeline.review.schema import METADATA, VERSION_TABLE
from health_pipeline.segmentation.registry import adopt, adoptions
from health_pipeline.settings import Settings

FORM = {"reason_code": "benign_explanation", "reason": "school holidays"}


@pytest.fixture
def opened(both: Settings) -> Iterator[Ledger]:
    with Ledger.open(both, SetClock()) as ledger:
        add_people(ledger)
        ledger.take_in("r1", [packet()])
        yield ledger


def execute(ledger: Ledger, statement: str, **values: Any) -> None:
    """As somebody with a database client would."""
    with ledger.engine.begin() as connection:
        connection.execute(text(statement), values)


def test_the_migrations_make_the_tables_the_code_speaks_of(both: Settings) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = open_engine(both.ledger_url)
    upgrade(engine)
    upgrade(engine)
    ours = set(METADATA.tables) | {VERSION_TABLE}
    options = {
        "version_table": VERSION_TABLE,
        "include_name": lambda name, kind, _: kind != "table" or name in ours,
        "compare_type": True,
    }
    with reading(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []
        found = connection.execute(text(f"select version_num from {VERSION_TABLE}")).scalars().all()
    engine.dispose()
    assert found == [SCHEMA_REVISION]


def test_an_older_ledger_learns_which_of_its_cases_are_quiet(opened: Ledger, both: Settings) -> None:
    opened.take_in("r1", [packet("p-quiet", is_quiet=True), packet("p-loud")])
    # As version 0003 left it.
    execute(opened, "drop index ledger_case_order")
    execute(opened, "alter table ledger_case drop column is_quiet")
    execute(opened, "create index ledger_case_order on ledger_case (case_id)")
    execute(opened, "drop table desk_token")
    execute(opened, f"update {VERSION_TABLE} set version_num = '0003'")
    with Ledger.open(both) as ledger:
        with reading(ledger.engine) as connection:
            quiet = connection.execute(text("select case_id from ledger_case where is_quiet")).scalars().all()
        assert quiet == ["p-quiet"] and ledger.verify().holds
        assert ledger.engine.dialect.name in both.ledger_url


def test_a_ledger_of_newer_code_is_left_as_it_is(opened: Ledger, both: Settings) -> None:
    execute(opened, f"update {VERSION_TABLE} set version_num = '0099'")
    with pytest.raises(LedgerTooNewError, match="tables of version 0099, this code knows up to"):
        Ledger.open(both)
    assert opened.verify().holds


def test_incidents_and_adoptions_live_in_the_same_database(both: Settings) -> None:
    url = both.ledger_url
    incident = record_incident(url, "publication_refused", date(2026, 11, 9), [], "data@example.com", NOW)
    adopt(url, "model-1", date(2026, 7, 1), date(2026, 11, 16), LEAD, "clear segments", NOW)
    with Ledger.open(both, SetClock()) as ledger:
        add_people(ledger)
        assert ledger.verify().holds
    assert [one.id for one in list_incidents(url)] == [incident.id]
    assert [one.segment_model_id for one in adoptions(url)] == ["model-1"]


def test_what_is_stored_is_what_was_decided(opened: Ledger) -> None:
    """Whatever a person can type comes back as it was, and no word of it is in the chain."""
    words = (
        "=HYPERLINK(1) <script> \x00 NUL, an e-mail: kim@customer.example, \U0001f600 и 漢字; drop table ledger_event"
    )
    dismissed = opened.decide("p-1", "dismiss", CSM, 1, key(), {**FORM, "reason": words})
    assert isinstance(dismissed, Decision)
    reference = dismissed.event.payload["texts"]["reason"]
    with reading(opened.engine) as connection:
        stored = connection.execute(text("select payload from ledger_event")).scalars().all()
    assert not any("kim@customer" in payload for payload in stored)
    (text_id,) = [reference["text_id"]]
    from health_pipeline.review import TextRef

    assert opened.texts([TextRef(**reference)]) == {text_id: words}
    assert opened.events("p-1")[-1].at == NOW
    assert opened.case("p-1") == dismissed.case


def test_erasing_leaves_the_chain_whole(opened: Ledger) -> None:
    dismissed = opened.decide("p-1", "dismiss", CSM, 1, key(), FORM)
    assert isinstance(dismissed, Decision)
    text_id = dismissed.event.payload["texts"]["reason"]["text_id"]
    with pytest.raises(LedgerError, match=r"csm@example\.com may not erase"):
        opened.erase_text(text_id, CSM)
    erased = opened.erase_text(text_id, LEAD)
    assert erased is not None and erased.type == "text_erased"
    assert opened.erase_text(text_id, LEAD) is None
    with reading(opened.engine) as connection:
        row = connection.execute(text("select body, salt from ledger_text where text_id = :id"), {"id": text_id}).one()
    assert tuple(row) == (None, None)
    assert opened.verify().holds


def test_an_edited_row_is_found(opened: Ledger, both: Settings) -> None:
    until_proposed(opened)
    does(opened, "approve", LEAD)
    assert opened.verify().holds
    approval = opened.events("p-1", types=["approved"])[0]
    execute(opened, "update ledger_event set actor = 'boss@example.com' where seq = :seq", seq=approval.seq)
    problems = opened.verify().problems
    assert problems == (f"Event {approval.seq} was changed: its content does not give its hash.",)
    assert verify_chain(both.ledger_url).problems == problems


def test_a_row_edited_with_its_hash_made_anew_is_found(opened: Ledger) -> None:
    from health_pipeline.contract.event_chain import event_hash
    from health_pipeline.review.events import row_values
    from health_pipeline.review.schema import EVENT

    event = opened.events(types=["packet_built"])[0]
    with opened.engine.begin() as connection:
        row = row_values(connection.execute(EVENT.select().where(EVENT.c.seq == event.seq)).one())
        forged = event_hash(row["prev_hash"], {**row, "actor": "boss@example.com"})
        values = {"actor": "boss@example.com", "hash": forged}
        connection.execute(EVENT.update().where(EVENT.c.seq == event.seq).values(**values))
    following = event.seq + 1
    problems = (f"Event {following} does not follow the event before it: its prev_hash is another one.",)
    assert opened.verify().problems == problems


def test_a_removed_row_is_found(opened: Ledger) -> None:
    execute(opened, "delete from ledger_event where seq = 3")
    assert opened.verify().problems[0] == "Event 3 is missing: event 4 follows event 2."


def test_a_cut_tail_is_found_by_the_anchor_alone(opened: Ledger, both: Settings) -> None:
    does(opened, "dismiss", **FORM)
    anchor = ledger_head(both.ledger_url)
    assert anchor == opened.head()
    assert anchor is not None
    execute(opened, "delete from ledger_event where seq = :seq", seq=anchor.seq)
    execute(opened, "delete from ledger_text")
    # The chain that is left holds, as far as it knows.
    assert verify_chain(both.ledger_url).holds
    gone = f"Event {anchor.seq}, anchored in a release, is gone: the chain ends at event {anchor.seq - 1}."
    assert verify_chain(both.ledger_url, [anchor]).problems == (gone,)
    opened.set_four_eyes(False, ADMIN, "another event in its place")
    rewritten = f"Event {anchor.seq} is not the one that was anchored in a release: the chain was rewritten."
    assert verify_chain(both.ledger_url, [anchor]).problems == (rewritten,)
    with pytest.raises(LedgerError, match="may not accept that events were lost"):
        opened.accept_loss(anchor, LEAD, "restored from a copy")
    opened.accept_loss(anchor, ADMIN, "restored from Monday's copy")
    assert verify_chain(both.ledger_url, [anchor]).holds
    assert not verify_chain(both.ledger_url, [ChainHead(anchor.seq, "f" * 64, anchor.count)]).holds


def test_edited_texts_and_cases_are_found(opened: Ledger) -> None:
    decided = opened.decide("p-1", "dismiss", CSM, 1, key(), FORM)
    assert isinstance(decided, Decision)
    text_id = decided.event.payload["texts"]["reason"]["text_id"]
    execute(opened, "update ledger_text set body = '\"nothing to see\"' where text_id = :id", id=text_id)
    assert opened.verify().problems == (f"Text {text_id} was changed: it does not give its digest.",)
    opened.erase_text(text_id, LEAD)
    assert opened.verify().holds
    execute(opened, "update ledger_case set document = replace(document, 'false_positive', 'saved')")
    (problem,) = opened.verify().problems
    assert "Case p-1 is not what its events say" in problem


def test_a_text_that_vanished_is_found(opened: Ledger) -> None:
    decided = opened.decide("p-1", "dismiss", CSM, 1, key(), FORM)
    assert isinstance(decided, Decision)
    text_id = decided.event.payload["texts"]["reason"]["text_id"]
    execute(opened, "update ledger_text set body = null where text_id = :id", id=text_id)
    assert opened.verify().problems == (f"Text {text_id} is gone, and nobody erased it.",)


def test_cases_made_anew_are_the_cases(opened: Ledger) -> None:
    opened.take_in("r1", [packet(f"p-{number}", account_id=f"acc_{number}") for number in range(2, 30)])
    until_proposed(opened, "p-2", message="Dear Kim")
    does(opened, "approve", LEAD, "p-2")
    before = opened.cases()
    execute(opened, "delete from ledger_case where case_id <> 'p-3'")
    assert len(opened.verify().problems) == 20
    assert opened.rebuild() == 29
    assert opened.cases() == before
    assert opened.verify().holds


def test_of_twelve_at_once_one_wins_and_eleven_are_told(opened: Ledger, both: Settings) -> None:
    """Twelve reviewers, twelve connections, the same version of the same case."""
    barrier = threading.Barrier(12)
    answers: list[object] = []

    def decide(number: int) -> None:
        with Ledger.open(both, SetClock()) as own:
            barrier.wait()
            form = {"until": f"2026-12-{number + 1:02d}", "reason": f"reviewer {number}"}
            try:
                answers.append(own.decide("p-1", "defer", CSM, 1, f"twelve-{number}", form))
            except ConflictError as conflict:
                answers.append(conflict)

    threads = [threading.Thread(target=decide, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert Counter(type(answer) for answer in answers) == {Decision: 1, ConflictError: 11}
    (winner,) = [answer for answer in answers if isinstance(answer, Decision)]
    assert all(answer.case == winner.case for answer in answers)
    assert [event.type for event in opened.events("p-1")] == ["risk_detected", "packet_built", "deferred"]
    assert opened.verify().holds


def test_the_same_form_from_twelve_places_is_recorded_once(opened: Ledger, both: Settings) -> None:
    barrier = threading.Barrier(12)
    answers: list[object] = []

    def decide() -> None:
        with Ledger.open(both, SetClock()) as own:
            barrier.wait()
            answers.append(own.decide("p-1", "dismiss", CSM, 1, "one-form", FORM))

    threads = [threading.Thread(target=decide) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len(answers) == 12
    assert all(answer == answers[0] for answer in answers)
    assert len(opened.events("p-1", types=["dismissed"])) == 1


DECIDING = """
import sys
from reviewing import SetClock
from health_pipeline.review import Ledger
from health_pipeline.settings import Settings
with Ledger.open(Settings(), SetClock()) as ledger:
    form = {"reason_code": "benign_explanation", "reason": "school holidays"}
    print(ledger.decide("p-1", "dismiss", "csm@example.com", 1, "a-key", form).event.event_id)
"""


def test_killed_between_commit_and_answer_the_repeat_gives_the_first_result(opened: Ledger, both: Settings) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
        "HEALTH_HOME": str(both.home),
        "HEALTH_LEDGER_URL": both.ledger_url,
    }
    command = [sys.executable, "-c", DECIDING]
    killed = subprocess.run(
        command, env={**environment, ENVIRONMENT: "ledger.before_answer"}, capture_output=True, text=True, check=False
    )
    assert (killed.returncode, killed.stdout) == (EXIT_CODE, ""), killed.stderr
    (first,) = opened.events("p-1", types=["dismissed"])
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == first.event_id
    assert len(opened.events("p-1", types=["dismissed"])) == 1
    assert opened.verify().holds


def test_the_key_of_the_texts_is_its_owners_alone(both: Settings) -> None:
    Ledger.open(both).close()
    assert both.ledger_text_key.stat().st_mode & 0o777 == 0o600
    both.ledger_text_key.chmod(0o644)
    with pytest.raises(LedgerError, match="can be read by others than its owner; run `chmod 600"):
        Ledger.open(both)


def test_times_are_utc_whatever_zone_they_come_in(both: Settings) -> None:
    from datetime import timedelta, timezone

    clock = SetClock(datetime(2026, 11, 18, 23, 30, tzinfo=timezone(timedelta(hours=-5))))
    with Ledger.open(both, clock) as ledger:
        add_people(ledger)
        ledger.take_in("r1", [packet()])
        assert ledger.events("p-1")[0].at == datetime(2026, 11, 19, 4, 30, tzinfo=UTC)
        assert ledger.verify().holds
