"""The features of one account and week, the slow way: obvious loops over what was known, from the data dictionary.

Written from HEALTH.md, LANDING.md, docs/decisions.md and the dictionary's descriptions, and not from the SQL.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any

import pandas as pd
from reference_company import AS_OF, KNOWN, POLICY, Company, Row
from reference_history import Moment, as_moment, histories

Features = dict[str, Any]
DAY = timedelta(days=1)
ENDED = {"canceled", "cancelled", "ended", "expired", "churned"}


def reference_features(company: Company, account: str, number: int) -> Features:
    """The features of `account` in the week of that number."""
    moment = Moment(company, AS_OF[number], KNOWN[number], KNOWN[number])
    features = commercial(moment, account, number)
    for domain in (payment, usage, support, engagement, sentiment, outcomes, risk):
        features |= domain(moment, account, features)
    return features


def is_live(company: Company, account: str, number: int) -> bool:
    """A customer in the week of that number: a subscription runs, as known then."""
    return bool(active(Moment(company, AS_OF[number], KNOWN[number], KNOWN[number]), account))


def whole_days(start: datetime | None, end: datetime | None) -> int | None:
    """Whole days from one moment to the other."""
    if start is None or end is None:
        return None
    return (end - start) // DAY


def share(part: float, whole: float) -> float | None:
    """A part of a whole; of nothing there is no share."""
    return part / whole if whole else None


def in_days(moment: datetime | None, as_of_at: datetime, days: int) -> bool:
    """In the half-open window [as_of_at - days, as_of_at)."""
    return moment is not None and as_of_at - timedelta(days=days) <= moment < as_of_at


def rate_of(currency: str, number: int) -> float | None:
    """The policy's rate for the week: the newest that began before its end."""
    if currency == POLICY.reporting_currency:
        return 1.0
    by_day = {pd.Timestamp(day): rate for day, rate in POLICY.rates.get(currency, {}).items()}
    begun = [day for day in by_day if day < AS_OF[number]]
    return by_day[max(begun)] if begun else None


def amount_in(amount: Any, currency: str, target: str, number: int) -> float | None:
    """An amount in another currency; unknown without a rate."""
    if amount is None:
        return None
    if currency == target:
        return float(amount)
    rate, target_rate = rate_of(currency, number), rate_of(target, number)
    if rate is None or target_rate is None:
        return None
    # a cent is rounded as an accountant does: half of it upwards
    converted = Decimal(repr(float(amount) * rate / target_rate))
    return float(converted.quantize(Decimal("0.01"), ROUND_HALF_UP))


def total(amounts: Sequence[float | None]) -> float | None:
    """A sum; one unknown amount makes it unknown."""
    return None if any(amount is None for amount in amounts) else float(sum(amount or 0 for amount in amounts))


# --- commercial


def ended_at(moment: Moment, row: Row) -> datetime | None:
    """When a subscription ended, as known then; a source may say it by status alone."""
    if row.get("canceled_at") is not None:
        return moment.lifecycle("billing_subscription", row, "canceled_at")
    if (row.get("status") or "").lower() in ENDED:
        return row["valid_from"]
    return None


def active(moment: Moment, account: str, days_before: int = 0) -> list[Row]:
    """The subscriptions that ran n days before, as they were known then, of the account as it is linked now."""
    then = Moment(
        moment.company,
        moment.as_of_at - timedelta(days=days_before),
        moment.known_at - timedelta(days=days_before),
        moment.links_known_at,
    )
    return [
        row
        for row in then.records("billing_subscription", account)
        if row["started_at"] < then.as_of_at and ended_at(then, row) is None
    ]


def tenure_days(moment: Moment, account: str) -> int:
    """Days since the subscriptions began that follow each other with gaps of at most 31 days."""
    spans = sorted(
        (row["started_at"], ended_at(moment, row) or moment.as_of_at)
        for row in moment.records("billing_subscription", account)
        if row["started_at"] < moment.as_of_at
    )
    begin, covered_until = spans[0]
    for start, end in spans[1:]:
        if start > covered_until + timedelta(days=31):
            begin = start
        covered_until = max(covered_until, end)
    return (moment.as_of_at - begin) // DAY


def arr_of(rows: Sequence[Row], currency: str, number: int) -> float | None:
    return total([amount_in(row.get("arr"), row.get("currency"), currency, number) for row in rows])


def currency_of(rows: Sequence[Row]) -> str:
    """The one currency of these rows, else the reporting currency; an unknown one does not say."""
    currencies = {row["currency"] for row in rows if row.get("currency") is not None}
    return currencies.pop() if len(currencies) == 1 else POLICY.reporting_currency


def movement(moment: Moment, account: str, now: float | None, before: float | None, had: bool) -> str | None:
    """What recurring revenue did against 28 days before."""
    if now is None or (had and before is None):
        return None
    if not had:
        ended_earlier = [
            row
            for row in moment.records("billing_subscription", account)
            if row["started_at"] < moment.as_of_at - 28 * DAY and ended_at(moment, row) is not None
        ]
        return "reactivation" if ended_earlier else "new"
    assert before is not None
    if now == 0 and before > 0:
        return "churned"
    return "unchanged" if now == before else "expansion" if now > before else "contraction"


def commercial(moment: Moment, account: str, number: int) -> Features:
    rows, rows_28, rows_90 = (active(moment, account, days) for days in (0, 28, 90))
    currency = currency_of(rows)
    arr, arr_28, arr_90 = (arr_of(some, currency, number) for some in (rows, rows_28, rows_90))
    invoices = [
        row
        for row in moment.records("billing_invoice", account)
        if row["issued_at"] < moment.as_of_at and row.get("status") not in ("draft", "void")
    ]
    recent = [row for row in invoices if in_days(row["issued_at"], moment.as_of_at, 91)]
    ends = [row["current_period_end"] for row in rows if row.get("current_period_end") is not None]
    notice = any(row.get("cancel_at") is not None for row in rows)
    seats = [row["quantity"] for row in rows if row.get("quantity") is not None]
    sends_invoices = moment.is_connected(account, "billing_invoice")
    return {
        "account_tenure_days": tenure_days(moment, account),
        "currency": currency,
        "arr": arr,
        "arr_reporting": amount_in(arr, currency, POLICY.reporting_currency, number),
        "seats_licensed": sum(seats) if seats else None,
        "mrr_change_share_90d": None if arr is None or not rows_90 or not arr_90 else (arr - arr_90) / arr_90,
        "mrr_movement": movement(moment, account, arr, arr_28, bool(rows_28)),
        "days_to_renewal": min(
            (whole_days(moment.as_of_at, end) for end in ends if end >= moment.as_of_at), default=None
        ),
        "is_cancellation_scheduled": True if notice else None if any(row["is_partial"] for row in rows) else False,
        "invoices_91d": len(recent) if sends_invoices else None,
        "invoiced_amount_91d": total(
            [amount_in(row.get("total"), row.get("currency"), currency, number) for row in recent]
        ),
        "days_since_last_invoice": whole_days(
            max((row["issued_at"] for row in invoices), default=None), moment.as_of_at
        ),
    }


# --- payment


def payment(moment: Moment, account: str, known: Features) -> Features:
    as_of_day = moment.as_of_at.date()
    number = AS_OF.index(moment.as_of_at)
    overdue: list[Row] = []
    due, late, is_unknown = 0, 0, False
    for row in moment.records("billing_invoice", account):
        if row["issued_at"] >= moment.as_of_at or row.get("status") in ("draft", "void"):
            continue
        paid = moment.lifecycle("billing_invoice", row, "paid_at")
        is_paid_some_time = paid_some_time(row)
        is_unknown = is_unknown or (row["is_partial"] and paid is None)
        due_date = row.get("due_date")
        if due_date is None:
            continue
        is_overdue = due_date < as_of_day and paid is None and not is_paid_some_time
        if is_overdue:
            overdue.append(row)
        if in_days(as_moment(due_date), moment.as_of_at, 365) and not is_paid_some_time:
            due += 1
            late += is_overdue or (paid is not None and paid.date() > due_date)
    failed = [row for row in moment.events("billing_payment", account, 28) if row["status"] == "failed"]
    amounts = [
        amount_in(max(row["amount_due"] - part_paid(row), 0), row["currency"], known["currency"], number)
        for row in overdue
    ]
    return {
        "failed_payment_count_28d": len(failed) if moment.is_connected(account, "billing_payment") else None,
        "overdue_amount": None if is_unknown else total(amounts),
        "max_days_past_due": None
        if is_unknown
        else max(((as_of_day - row["due_date"]).days for row in overdue), default=0),
        "late_payment_share_365d": share(late, due),
    }


def paid_some_time(row: Row) -> bool:
    """Paid by its status, or nothing is left to pay, but the source does not say when."""
    if row.get("paid_at") is not None or row.get("amount_due") is None:
        return row.get("paid_at") is None and row.get("status") == "paid"
    return row.get("status") == "paid" or (row.get("amount_paid") or 0) >= row["amount_due"]


def part_paid(row: Row) -> Any:
    """What was paid of an invoice that is not paid as a whole."""
    return row.get("amount_paid") or 0 if row.get("paid_at") is None else 0


# --- usage


def usage(moment: Moment, account: str, known: Features) -> Features:
    names = ("active_users_28d", "license_utilisation", "active_days_28d", "stickiness", "feature_breadth_28d")
    names += ("usage_depth_28d", "usage_change_share_4w", "features_first_used_28d", "days_since_last_activity")
    if not moment.knows(account, "usage"):
        return dict.fromkeys(names)
    events = pd.DataFrame(
        [
            {
                "at": row["occurred_at"],
                "day": row["occurred_at"].date(),
                "user": row.get("user_id") or row.get("anonymous_id"),
                "feature": row.get("feature_key") or row.get("event_name"),
            }
            for row in moment.events("usage_event", account)
        ],
        columns=["at", "day", "user", "feature"],
    )
    roll_ups = [row for row in moment.events("usage_daily", account) if row["events"] > 0]
    # events win over a roll-up of the same day: nothing is counted twice
    days = [row for row in roll_ups if row["usage_date"] not in set(events["day"])]
    end = moment.as_of_at
    recent = events[(events["at"] >= end - 28 * DAY) & (events["at"] < end)] if len(events) else events
    recent_days = [row for row in days if in_days(as_moment(row["usage_date"]), end, 28)]
    before = sum(in_days(at, end - 28 * DAY, 28) for at in events["at"])
    before += sum(row["events"] for row in days if in_days(as_moment(row["usage_date"]), end - 28 * DAY, 28))
    count = len(recent) + sum(row["events"] for row in recent_days)
    users = recent["user"].dropna().nunique()
    # of a roll-up the busiest day is a floor
    active_users = max(users, max((row["active_users"] for row in recent_days), default=0))
    weekly = weekly_users(recent, recent_days, end)
    breadth = max(recent["feature"].nunique(), max((row["features_used"] or 0 for row in recent_days), default=0))
    first_used = events.groupby("feature")["at"].min() if len(events) else pd.Series(dtype="datetime64[us]")
    # a roll-up says only the day: its last instant stands for it, also where events of that day are known
    last_instants = [as_moment(row["usage_date"]) + DAY - timedelta(microseconds=1) for row in roll_ups]
    last = [*events["at"], *last_instants]
    named = active_users or None
    is_feature_known = not recent.empty or any(row["features_used"] is not None for row in recent_days)
    return {
        "active_users_28d": 0 if count == 0 else named,
        "license_utilisation": share(active_users, known["seats_licensed"] or 0) if not count or named else None,
        "active_days_28d": len({*recent["day"], *(row["usage_date"] for row in recent_days)}),
        "stickiness": share(weekly / 4, active_users),
        "feature_breadth_28d": 0 if count == 0 else breadth if is_feature_known else None,
        "usage_depth_28d": share(count, active_users),
        "usage_change_share_4w": share(count - before, before),
        "features_first_used_28d": 0
        if count == 0
        else None
        if recent.empty
        else int(sum(at >= end - 28 * DAY for at in first_used)),
        "days_since_last_activity": whole_days(max(last, default=None), end),
    }


def weekly_users(recent: pd.DataFrame, recent_days: Sequence[Row], end: datetime) -> int:
    """Distinct active users of each of the last four weeks, summed; of roll-ups each week's busiest day."""
    by_events, by_days = 0, 0
    for back in range(4):
        week_end = end - 7 * back * DAY
        by_events += recent.loc[[in_days(at, week_end, 7) for at in recent["at"]], "user"].dropna().nunique()
        busiest = [row["active_users"] for row in recent_days if in_days(as_moment(row["usage_date"]), week_end, 7)]
        by_days += max(busiest, default=0)
    return max(by_events, by_days)


# --- support


def support(moment: Moment, account: str, known: Features) -> Features:
    end = moment.as_of_at
    tickets = [row for row in moment.records("support_ticket", account) if row["created_at"] < end]
    opened = [row for row in tickets if in_days(row["created_at"], end, 91)]
    waiting, resolution = [], []
    for row in tickets:
        solved = moment.lifecycle("support_ticket", row, "solved_at")
        closed = moment.lifecycle("support_ticket", row, "closed_at")
        says_nothing = row.get("solved_at") is None and row.get("closed_at") is None
        if solved is None and closed is None and not (says_nothing and row.get("status") in ("solved", "closed")):
            waiting.append(row)
        done = solved or closed
        if in_days(done, end, 91):
            assert done is not None
            resolution.append((done - row["created_at"]).total_seconds() / 60)
    replies = [
        (replied - row["created_at"]).total_seconds() / 60
        for row in opened
        if (replied := moment.lifecycle("support_ticket", row, "first_response_at")) is not None
    ]
    priorities = [first_priority(moment, row["ticket_id"]) for row in opened]
    told = [priority for priority in priorities if priority is not None]
    places = [
        (row["score"] - row["scale_min"]) / (row["scale_max"] - row["scale_min"])
        for row in moment.events("survey_response", account, 91)
        if row["survey_type"] == "csat"
    ]
    # the middle of the scale is neither
    good, bad = sum(place >= 0.7 for place in places), sum(place < 0.5 for place in places)
    counts = {
        "tickets_opened_28d": sum(in_days(row["created_at"], end, 28) for row in tickets),
        "tickets_opened_91d": len(opened),
        "open_backlog": len(waiting),
        "unreplied_open_tickets": sum(
            moment.lifecycle("support_ticket", row, "first_response_at") is None for row in waiting
        ),
    }
    if not moment.is_connected(account, "support_ticket"):
        counts = dict.fromkeys(counts)
    return counts | {
        "oldest_open_ticket_days": max((whole_days(row["created_at"], end) or 0 for row in waiting), default=None),
        "first_reply_minutes_median_91d": median(replies),
        "full_resolution_minutes_median_91d": median(resolution),
        "urgent_high_share_91d": share(sum(priority in ("urgent", "high") for priority in told), len(told)),
        "csat_91d": share(good, good + bad),
    }


def median(values: Sequence[float]) -> float | None:
    return float(pd.Series(values).median()) if values else None


def first_priority(moment: Moment, ticket_id: str) -> str | None:
    """The priority when it was set: of the first version that says one, as far as it was known."""
    for history in histories(moment.company, "support_ticket"):
        if history[0]["ticket_id"] == ticket_id:
            for version in history:
                is_said = not version["is_partial"] and version.get("priority") is not None
                if is_said and version["valid_from"] <= moment.known_at:
                    return str(version["priority"])
    return None


# --- engagement


MEETINGS = {"meeting", "call", "qbr"}


def engagement(moment: Moment, account: str, known: Features) -> Features:
    notes = [row for row in moment.events("cs_note", account) if row["activity_type"].lower() != "pulse"]
    recent = [row for row in notes if in_days(row["occurred_at"], moment.as_of_at, 91)]
    two_way = [row for row in notes if row.get("direction") == "two_way"]
    people: set[str] = set()
    for row in recent:
        if row.get("direction") == "two_way":
            people |= external_attendees(row)
    is_connected = moment.is_connected(account, "cs_note")
    return {
        "days_since_last_two_way_touch": whole_days(
            max((row["occurred_at"] for row in two_way), default=None), moment.as_of_at
        ),
        "meetings_91d": sum(row["activity_type"].lower() in MEETINGS for row in recent) if is_connected else None,
        "engaged_contacts_91d": len(people) if is_connected else None,
        **contacts(moment, account),
    }


def external_attendees(row: Row) -> set[str]:
    """Attendees who are no colleagues of the author."""
    home = (row.get("author_email") or "").partition("@")[2].lower()
    emails = (row.get("attendee_emails") or "").replace(";", ",").split(",")
    named = {email.strip().lower() for email in emails if "@" in email}
    return {email for email in named if not home or email.partition("@")[2] != home}


def contacts(moment: Moment, account: str) -> Features:
    """Champions and sponsors who are there, and whether a champion left: by date, by flag, or by absence."""
    names = ("has_active_champion", "has_exec_sponsor", "champion_left_180d")
    if not moment.is_connected(account, "crm_contact"):
        return dict.fromkeys(names)
    here: list[str | None] = []
    for row in moment.records("crm_contact", account):
        gone = moment.lifecycle("crm_contact", row, "left_at")
        # a date of leaving says more than the flag
        is_there = gone is None if row.get("left_at") is not None else row.get("is_active", True)
        if row["is_partial"] and gone is None:
            # a role that is only known later may be any
            here.append("not known yet")
        elif is_there:
            here.append(row.get("role"))
    departures = [
        champion_left(moment, [version for version in history if version["valid_from"] <= moment.known_at])
        for history in histories(moment.company, "crm_contact")
        if moment.account_of("crm", history[0], history[0]["source_account_id"]) == account
    ]
    return {
        "has_active_champion": holds({"champion"}, here),
        "has_exec_sponsor": holds({"decision_maker", "economic_buyer"}, here),
        "champion_left_180d": True if True in departures else None if None in departures else False,
    }


def champion_left(moment: Moment, known: Sequence[Row]) -> bool | None:
    """Whether this contact is a champion who left in the 180 days; None where that is not known."""
    if not known or is_seen_there(known[-1]):
        return False
    now = known[-1]
    dated = moment.lifecycle("crm_contact", now, "left_at")
    if not now["is_deleted"] and in_days(dated, moment.as_of_at, 180):
        return None if now["is_partial"] else now.get("role") == "champion" or was_champion(moment, known)
    return was_champion(moment, known) or (None if may_have_left(moment, now) else False)


def was_champion(moment: Moment, known: Sequence[Row]) -> bool:
    """A champion was there in one version and is not in the next: from the day the source says, else the extract's."""
    now = known[-1]
    for before, after in pairwise(known):
        if not is_seen_there(before) or is_seen_there(after) or before.get("role") != "champion":
            continue
        told = now.get("left_at") or after.get("source_updated_at")
        departed = told or after["valid_from"]
        # what only an extract shows counts from that extract on
        is_over = departed < moment.as_of_at or told is None
        if is_over and departed >= moment.as_of_at - 180 * DAY:
            return True
    return False


def is_seen_there(version: Row) -> bool:
    is_gone = version["is_deleted"] or version["is_partial"] or version.get("left_at") is not None
    return not is_gone and version.get("is_active", True) is not False


def may_have_left(moment: Moment, now: Row) -> bool:
    """Inactive without a date, and the record changed last within the 180 days: perhaps then."""
    is_inactive = not now["is_deleted"] and not now["is_partial"] and now.get("is_active") is False
    changed = now.get("source_updated_at")
    is_champion = now.get("role") == "champion" and now.get("left_at") is None
    return bool(is_inactive and is_champion and changed is not None and changed >= moment.as_of_at - 180 * DAY)


def holds(wanted: set[str], roles: Sequence[str | None]) -> bool | None:
    if wanted & set(roles):
        return True
    return None if "not known yet" in roles else False


# --- sentiment


def sentiment(moment: Moment, account: str, known: Features) -> Features:
    points = [
        10 * (row["score"] - row["scale_min"]) / (row["scale_max"] - row["scale_min"])
        for row in moment.events("survey_response", account, 90)
        if row["survey_type"] == "nps"
    ]
    balance = sum(point >= 9 for point in points) - sum(point <= 6 for point in points)
    pulses = []
    for row in moment.events("cs_note", account):
        said = json.loads(row["custom"])["csm_sentiment"] if row.get("custom") else None
        if isinstance(said, int | float) and 1 <= said <= 5:
            pulses.append((row["occurred_at"], row["note_id"], float(said)))
    newest = max(pulses, default=None)
    return {
        "nps_account_90d": share(100 * balance, len(points)),
        "nps_answers_90d": len(points) if moment.is_connected(account, "survey_response") else None,
        "csm_sentiment": newest[2] if newest else None,
        "csm_sentiment_age_days": whole_days(newest[0], moment.as_of_at) if newest else None,
    }


# --- outcomes


def outcomes(moment: Moment, account: str, known: Features) -> Features:
    today = moment.as_of_at.date()
    open_goals, on_track, overdue, is_unknown = 0, 0, 0, False
    validated = []
    for row in moment.records("cs_goal", account):
        if row.get("start_date") is not None and row["start_date"] >= today:
            continue
        status = row.get("status")
        achieved = moment.lifecycle("cs_goal", row, "achieved_at") is not None
        if status == "achieved" and row.get("achieved_at") is None:
            achieved = True
        elif status == "achieved" and not achieved:
            # achieved after as_of_at: under way then
            status = "on_track"
        is_unknown = is_unknown or (row["is_partial"] and not achieved)
        open_goals += achieved or status in ("not_started", "on_track", "at_risk", "missed")
        on_track += achieved or status == "on_track"
        due = row.get("due_date")
        overdue += not achieved and due is not None and due < today and status != "cancelled"
        if row.get("last_validated_at") is not None and row["last_validated_at"] < moment.as_of_at:
            validated.append(row["last_validated_at"])
    is_connected = moment.is_connected(account, "cs_goal")
    return {
        "goals_on_track_share": None if is_unknown else share(on_track, open_goals),
        "overdue_goals": overdue if is_connected and not is_unknown else None,
        "days_since_goal_validated": whole_days(max(validated, default=None), moment.as_of_at),
        **milestones(moment, account),
    }


def milestones(moment: Moment, account: str) -> Features:
    projects = {row["project_id"] for row in moment.records("pm_project", account)}
    rows = [row for row in moment.versions("pm_milestone") if row["project_id"] in projects]
    done = [moment.lifecycle("pm_milestone", row, "completed_at") is not None for row in rows]
    due = [row.get("due_date") is not None and row["due_date"] < moment.as_of_at.date() for row in rows]
    go_live = [is_done for row, is_done in zip(rows, done, strict=True) if row.get("is_go_live")]
    return {
        "milestones_overdue_share": share(
            sum(is_due and not is_done for is_due, is_done in zip(due, done, strict=True)), sum(due)
        ),
        "onboarding_complete": any(go_live) if go_live else None,
    }


# --- risk


def risk(moment: Moment, account: str, known: Features) -> Features:
    open_risks = []
    for row in moment.records("risk", account):
        if row["identified_at"] >= moment.as_of_at:
            continue
        closed = moment.lifecycle("risk", row, "closed_at") is not None
        if row.get("closed_at") is None and row.get("status") == "closed":
            closed = True
        if not closed:
            open_risks.append(row)
    severities = [
        row["likelihood"] * row["impact"]
        for row in open_risks
        if row.get("likelihood") is not None and row.get("impact") is not None
    ]
    return {
        "open_risks": len(open_risks) if moment.is_connected(account, "risk") else None,
        "max_open_risk_severity": max(severities, default=None),
    }
