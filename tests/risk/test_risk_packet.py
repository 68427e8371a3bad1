"""Packets: ratings by the matrix, what outranks what, causes, stop rules, what changes the hash, the mart's row."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from packet_examples import (
    a_week_later,
    by_place,
    facts,
    piece,
    policy,
    risk,
    signal,
    sponsor_risk,
    stays_away,
    use_fell,
)

from health_pipeline.contract.mart import mart_tables
from health_pipeline.mart.account_facts import AccountFacts, CaseAsKnown, Decided, EarlierEpisode
from health_pipeline.risk.model import BenignCheck, Reading, Risk
from health_pipeline.risk.packet import Packet
from health_pipeline.risk.packet_building import build_packets
from health_pipeline.risk.packet_rows import mart_row
from health_pipeline.risk.rating import Rating


def built(one: Risk, known: AccountFacts | None = None, **review: object) -> Packet:
    known = known or facts()
    return build_packets([one], by_place(known), policy(**review))[0]


def test_case_to_get_right() -> None:
    packet = built(sponsor_risk())
    # a high signal with medium ones of other categories: 4; 60,000 gives 4, the overdue goal one more
    assert (packet.inherent.likelihood, packet.inherent.impact, packet.severity) == (4, 5, "critical")
    assert packet.severity_status == "suggested"
    assert (packet.category, packet.runner_up_category) == ("support", "adoption")
    assert {cause.cause_id: cause.status for cause in packet.causes} == {
        "sponsor_gone": "suspected",
        "defects_or_slow_answers": "suspected",
        "value_not_reached": "unknown",
        "delivery_late": "unknown",
        "other_supplier": "unknown",
        "harmless_change": "refuted",
    }
    assert [(gap.what, gap.why) for gap in packet.missing] == [("sentiment", "missing")]
    assert packet.value_at_risk == Decimal("60000.00")
    assert [rule.rule_id for rule in packet.stop_rules] == [
        "evidence_missing",
        "assumption_unverified",
        "severity_unconfirmed",
        "needs_higher_permission",
        "no_follow_up_date",
    ]
    assert packet.escalation.respond_by == date(2026, 11, 17)
    assert (packet.decision, packet.message, packet.residual_target, packet.outcome) == (None, None, None, None)


def test_the_event_comes_about_by_its_own_category_first() -> None:
    missed = Reading("sponsor_meetings_missed_91d", ">=", 3, 4.0)
    open_tickets, doubled = Reading("open_backlog", ">=", 3, 5.0), Reading("ticket_volume_ratio_28d", ">", 2, 2.5)
    low = replace(signal("backlog", "t1", readings=(doubled,)), contribution="low")
    fired = (
        signal("meetings_missed", "m1", readings=(missed,)),
        low,
        replace(signal("backlog", "t1", readings=(open_tickets,)), contribution="high"),
    )
    found = built(risk(*fired, evidence=sponsor_risk().evidence))
    assert found.category == "support"
    assert found.event is not None
    assert found.event.because_of == (("open_backlog", 5.0), ("ticket_volume_ratio_28d", 2.5), (missed.feature, 4.0))


def test_two_medium_of_different_categories_outrank_one_high() -> None:
    high = built(risk(signal("backlog", "u1"), evidence=(use_fell(),)))
    same = built(risk(signal("silent", "u1"), evidence=(use_fell(),)))
    two = built(risk(signal("logins_fell", "u1"), signal("meetings_missed", "m1"), evidence=(use_fell(), stays_away())))
    lately = risk(signal("logins_fell", "u1"), evidence=(use_fell(),), recent_signals=(("silent", date(2026, 10, 19)),))
    assert [p.inherent.likelihood for p in (same, high, two, built(lately))] == [2, 3, 4, 4]


def test_notice_is_critical_whatever_is_known() -> None:
    unknown = replace(facts(), features={**facts().features, "arr_reporting": None}, goals=())
    packet = built(
        risk(signal("notice_given", "n1"), evidence=(piece("n1", "notice_given", "is_cancellation_scheduled", 1.0),)),
        unknown,
    )
    assert (packet.inherent.impact, packet.severity, packet.severity_rule) == (0, "critical", "always_critical")
    assert packet.value_at_risk is None
    assert all(option.is_save_offer for option in packet.options)
    assert "needs_higher_permission" in [rule.rule_id for rule in packet.stop_rules]


def test_unknown_is_rated_neither_worst_nor_best() -> None:
    unknown = replace(facts(), features={**facts().features, "arr_reporting": None})
    packet = built(risk(signal("logins_fell", "u1"), evidence=(use_fell(),)), unknown)
    assert (packet.inherent.impact, packet.severity, packet.severity_rule) == (0, None, "value_unknown")
    quiet = built(risk(is_quiet=True))
    assert (quiet.inherent.likelihood, quiet.severity, quiet.event) == (0, None, None)
    assert quiet.severity_rule == "nothing_fired"


def test_a_pause_keeps_the_rating_and_quiet_ends_it() -> None:
    own = EarlierEpisode(
        "pkt_1", "risk", 1, "support", "high", "detected", date(2026, 10, 5), date(2026, 11, 2), 4, 3, "high"
    )
    known = replace(facts(), episodes=(own,))
    paused = built(risk(), known)
    assert (paused.inherent, paused.severity, paused.severity_rule) == (Rating(4, 3), "high", "as_last_fired")
    assert paused.escalation.role == policy().review.escalation["high"].role
    quiet = built(risk(is_quiet=True), known)
    assert (quiet.inherent.likelihood, quiet.severity, quiet.severity_rule) == (0, None, "nothing_fired")
    unrated = built(risk(), replace(facts(), episodes=(replace(own, suggested_severity=None),)))
    assert (unrated.severity, unrated.severity_rule) == (None, "nothing_fired")
    other = built(risk(), replace(facts(), episodes=(replace(own, packet_id="pkt_0"),)))
    assert other.severity is None


def test_absence_alone_confirms_nothing() -> None:
    kinds = ("usage", "crm", "support")
    silence = tuple(
        piece(f"s{place}", "silent", "open_backlog", 0.0, kind="inferred_from_absence", source_kind=kind)
        for place, kind in enumerate(kinds)
    )
    packet = built(risk(signal("silent", "s0", "s1", "s2"), signal("backlog", "s2"), evidence=silence))
    assert {cause.status for cause in packet.causes} <= {"suspected", "unknown"}
    assert packet.inherent.likelihood == 2
    assert "absence_only" in [rule.rule_id for rule in packet.stop_rules]
    assert mart_row(packet)["has_only_absence"] is True


@pytest.mark.parametrize(
    ("kinds", "status"), [(("crm", "usage"), "corroborated"), (("crm", "crm"), "suspected"), (("crm",), "suspected")]
)
def test_two_kinds_of_source_corroborate(kinds: tuple[str, ...], status: str) -> None:
    pieces = tuple(
        piece(f"k{place}", "meetings_missed", "has_active_champion", 0.0, source_kind=kind)
        for place, kind in enumerate(kinds)
    )
    packet = built(risk(signal("meetings_missed", *(one.evidence_id for one in pieces)), evidence=pieces))
    assert {c.cause_id: c.status for c in packet.causes}["sponsor_gone"] == status


def test_inherent_current_and_residual_are_kept_apart() -> None:
    mitigated = replace(facts().register[0], status="mitigating")
    benign = (BenignCheck("season", "fits", ("u1",)),)
    one = risk(
        signal("logins_fell", "u1", benign=benign), signal("meetings_missed", "m1"), evidence=(use_fell(), stays_away())
    )
    case = CaseAsKnown(state="in_progress", residual_target="low", follow_up_date=date(2026, 12, 1))
    packet = built(one, replace(facts(), register=(mitigated,), decided=Decided(True, {"pkt_1": case})))
    assert packet.inherent.likelihood == 4
    assert packet.current.likelihood == 2
    assert (packet.residual_target, packet.residual_actual) == ("low", None)
    assert packet.severity == "critical"
    assert "no_follow_up_date" not in [rule.rule_id for rule in packet.stop_rules]


def test_hash_holds_while_nothing_material_changes() -> None:
    before = built(sponsor_risk())
    later_facts, later = a_week_later(facts(), sponsor_risk())
    assert built(later, later_facts).packet_hash == before.packet_hash
    # what speaks against it was seen in another record
    other = tuple(replace(e, source_record_id="rec-x") if e.evidence_id == "a1" else e for e in sponsor_risk().evidence)
    assert built(replace(sponsor_risk(), evidence=other)).packet_hash == before.packet_hash
    # use fell a little more: 42 to 43 %, the same band
    moved = tuple(use_fell(-0.43) if one.evidence_id == "u1" else one for one in sponsor_risk().evidence)
    assert built(replace(sponsor_risk(), evidence=moved)).packet_hash == before.packet_hash


def test_hash_holds_while_what_comes_and_goes_by_the_week_does() -> None:
    one = sponsor_risk()
    before = built(one).packet_hash
    # a touch that was measured speaks against it in one week and not in the next
    without = tuple(e for e in one.evidence if e.evidence_id != "a1")
    assert len(without) == len(one.evidence) - 1
    assert built(replace(one, evidence=without)).packet_hash == before
    # a silence of another month is the same silence
    silent = (signal("silent", "s0"),)
    gone = piece("s0", "silent", "days_since_last_two_way_touch", 70.0, kind="inferred_from_absence")
    longer = replace(gone, value=200.0, gap=140.0)
    assert len({built(risk(*silent, evidence=(one,))).packet_hash for one in (gone, longer)}) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda one, known: (replace(one, signals=one.signals[:-1]), known),
        lambda one, known: (
            replace(
                one,
                evidence=(
                    *one.evidence,
                    piece(
                        "v1",
                        "goal_validated",
                        "days_since_goal_validated",
                        3.0,
                        direction="contradicts",
                        kind="reported",
                    ),
                ),
            ),
            known,
        ),
        lambda one, known: (replace(one, missing=()), known),
        lambda one, known: (
            replace(one, evidence=tuple(use_fell(-0.8) if e.evidence_id == "u1" else e for e in one.evidence)),
            known,
        ),
        lambda one, known: (
            replace(
                one,
                evidence=tuple(
                    replace(e, source_record_id="T-8") if e.evidence_id == "t1" else e for e in one.evidence
                ),
            ),
            known,
        ),
        lambda one, known: (one, replace(known, goals=())),
        lambda one, known: (one, replace(known, owner_email="ben@example.com")),
        lambda one, known: (one, replace(known, stakeholders=(replace(known.stakeholders[0], is_there=False),))),
        lambda one, known: (one, replace(known, features={**known.features, "days_to_renewal": 25})),
        lambda one, known: (one, replace(known, features={**known.features, "arr_reporting": Decimal("90000")})),
    ],
)
def test_hash_changes_with_what_is_material(change) -> None:
    one, known = change(sponsor_risk(), facts())
    assert built(one, known).packet_hash != built(sponsor_risk()).packet_hash


def test_packets_are_withheld_until_people_are_ready() -> None:
    reasons = {
        "categories": ({}, "risk categories undefined"),
        "mitigation_approver_roles": ((), "no owner who can approve mitigations"),
        "review_schedule": (None, "no review scheduled"),
    }
    for part, (empty, reason) in reasons.items():
        unready = policy(**{part: empty})
        assert [found for found in unready.not_ready() if found.startswith(reason)]
        assert build_packets([sponsor_risk()], by_place(facts()), unready) == []
    assert policy().not_ready() == ()


def test_mart_row_has_the_contract_and_no_text() -> None:
    row = mart_row(built(sponsor_risk()))
    assert list(row) == mart_tables()["risk_packets"].arrow_schema.names
    assert row["missing_domains"] == "sentiment"
    assert row["mitigation_options"] == "support_review,adoption_review,stakeholder_review"
    assert (row["supporting_evidence"], row["contradicting_evidence"]) == (3, 2)
    for text in ("Jana", "Eriksen", "workaround", "Close the month", "Silvermill", "stretched"):
        assert text not in repr(row)


def test_packets_print_no_text_of_the_customer() -> None:
    printed = repr(built(sponsor_risk()))
    for text in ("Jana", "Close the month", "We use a workaround", "stretched"):
        assert text not in printed


def test_expansion_puts_no_value_at_risk() -> None:
    one = risk(signal("seats_full", "u1"), evidence=(use_fell(),), side="expansion")
    assert built(one).value_at_risk is None


def test_changes_name_what_moved_and_leave_out_what_only_grows_older() -> None:
    changed = {change.what: (change.before, change.now) for change in built(sponsor_risk()).changes}
    assert changed == {"open_backlog": (2, 4), "active_users_28d": (30, 22), "tier": ("healthy", "watch")}
    assert built(sponsor_risk()).facts.week_before == date(2026, 11, 9) - timedelta(days=7)
