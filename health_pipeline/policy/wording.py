"""Words for features, values, tiers and reasons: what plans and reports say instead of a column name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

TIER_WORDS: dict[str, str] = {
    "at_risk": "At risk",
    "watch": "Watch",
    "healthy": "Healthy",
    "expansion_ready": "Expansion-ready",
    "not_scored": "Not scored",
}
WATERMELON_WORDS: dict[str, str] = {
    "low_coverage": "little of its score was measured",
    "stale_inputs": "some inputs are stale",
    "falling_trend": "the score is falling",
    "single_threaded": "one contact carries the relationship",
    "missed_goal": "a goal was missed",
    "csm_disagrees": "the CSM sees it worse than the score",
}
_ABBREVIATIONS = {"csm": "CSM", "nps": "NPS", "csat": "CSAT", "arr": "ARR", "mrr": "MRR"}
_WINDOW = re.compile(r"_(\d+)([dw])$")


def counted(number: float, noun: str) -> str:
    """Write `1 day`, `62 days`, `1,204 days`."""
    whole = round(number)
    return f"{whole:,} {noun if whole == 1 else noun + 's'}"


def percent(share: float) -> str:
    """Write a share (0 to 1) as `40 %`."""
    return f"{round(share * 100):,} %"


def role_words(role: str) -> str:
    """Write a role of the policy (`support_lead`) in words."""
    return role.replace("_", " ")


def duration(minutes: float) -> str:
    """Write minutes as minutes, hours or days, whichever reads best."""
    if minutes < 90:
        return counted(minutes, "minute")
    return counted(minutes / 60, "hour") if minutes < 72 * 60 else counted(minutes / 1440, "day")


def _moved(subject: str, reference: str) -> Callable[[float], str]:
    def describe(share: float) -> str:
        if round(share * 100) == 0:
            return f"{subject} unchanged {reference}"
        return f"{subject} {'down' if share < 0 else 'up'} {percent(abs(share))} {reference}"

    return describe


def _yes_no(yes: str, no: str) -> Callable[[float], str]:
    return lambda value: yes if value >= 0.5 else no


def _none_or(count_noun: str, none: str, after: str = "") -> Callable[[float], str]:
    return lambda value: none if round(value) == 0 else f"{counted(value, count_noun)}{after}"


def _ago(happened: str, nothing: str) -> Callable[[float], str]:
    # Within a week it is something that happened; later it is a silence.
    def describe(days: float) -> str:
        if days < 1:
            return f"{happened} today"
        return f"{happened} {counted(days, 'day')} ago" if days <= 7 else f"{nothing} for {counted(days, 'day')}"

    return describe


# Days since something: what happened, and what it is called once it is long ago.
_SINCE: dict[str, tuple[str, str]] = {
    "days_since_last_activity": ("last used", "no use"),
    "days_since_last_two_way_touch": ("last two-way touch", "no two-way touch"),
    "days_since_last_sponsor_touch": ("last touch with a sponsor", "no touch with a sponsor"),
    "days_since_goal_validated": ("last goal validated", "no goal validated"),
}
# What a reader calls a feature, where its own name in words would not be understood.
_NAMES: dict[str, str] = {
    "arr_reporting": "recurring revenue",
    "csat_91d": "good answers on tickets (91 days)",
    "csm_sentiment": "CSM pulse",
    "goals_on_track_share": "goals on track",
    "license_utilisation": "licensed seats in use",
    "nps_account_90d": "NPS (90 days)",
    "open_backlog": "open tickets",
    "owner_email": "owner",
    "reopen_rate_91d": "solved tickets reopened (91 days)",
}
# What a feature's value says. One that is not here is described by its name and value: a new measure needs no
# entry.
_DESCRIBE: dict[str, Callable[[float], str]] = {
    **{name: _ago(*words) for name, words in _SINCE.items()},
    "account_tenure_days": lambda v: f"a customer for {counted(v, 'day')}",
    "mrr_change_share_90d": _moved("recurring revenue", "on 90 days before"),
    "days_to_renewal": lambda v: f"{counted(v, 'day')} to the end of the period",
    "is_cancellation_scheduled": _yes_no("a notice not to renew is on record", "no notice on record"),
    "days_since_last_invoice": lambda v: f"{counted(v, 'day')} since the last invoice",
    "invoices_91d": lambda v: _none_or("invoice", "no invoice")(v) + " in 91 days",
    "failed_payment_count_28d": lambda v: _none_or("failed payment", "no failed payment")(v) + " in 28 days",
    "overdue_amount": lambda v: "nothing overdue" if v == 0 else f"{v:,.0f} overdue",
    "max_days_past_due": lambda v: "no invoice past due" if v == 0 else f"an invoice {counted(v, 'day')} past due",
    "late_payment_share_365d": lambda v: f"{percent(v)} of the invoices paid late in a year",
    "active_users_28d": lambda v: _none_or("active user", "no active user")(v) + " in 28 days",
    "license_utilisation": lambda v: f"{percent(v)} of the licensed seats active",
    "active_days_28d": lambda v: f"used on {counted(v, 'day')} of 28",
    "stickiness": lambda v: f"weekly users are {percent(v)} of monthly users",
    "feature_breadth_28d": lambda v: f"{counted(v, 'feature')} used in 28 days",
    "usage_depth_28d": lambda v: f"{counted(v, 'event')} per active user in 28 days",
    "usage_change_share_4w": _moved("usage", "on the four weeks before"),
    "features_first_used_28d": lambda v: _none_or("feature", "no feature")(v) + " first used in 28 days",
    "tickets_opened_28d": lambda v: _none_or("ticket", "no ticket")(v) + " in 28 days",
    "tickets_opened_91d": lambda v: _none_or("ticket", "no ticket")(v) + " in 91 days",
    "open_backlog": _none_or("open ticket", "no open ticket"),
    "oldest_open_ticket_days": lambda v: f"a ticket open for {counted(v, 'day')}",
    "unreplied_open_tickets": _none_or("open ticket", "every open ticket replied", " without a reply"),
    "first_reply_minutes_median_91d": lambda v: f"first reply after {duration(v)} (median)",
    "full_resolution_minutes_median_91d": lambda v: f"tickets solved after {duration(v)} (median)",
    "urgent_high_share_91d": lambda v: f"{percent(v)} of the tickets urgent or high",
    "csat_91d": lambda v: f"{percent(v)} good answers on tickets",
    "reopen_rate_91d": lambda v: f"{percent(v)} of the solved tickets reopened",
    "meetings_91d": lambda v: _none_or("meeting", "no meeting")(v) + " in 91 days",
    "engaged_contacts_91d": lambda v: _none_or("engaged contact", "no engaged contact")(v) + " in 91 days",
    "has_active_champion": _yes_no("an active champion", "no active champion"),
    "has_exec_sponsor": _yes_no("an executive sponsor", "no executive sponsor"),
    "champion_left_180d": _yes_no("a champion left in 180 days", "no champion left"),
    "nps_account_90d": lambda v: f"NPS {'0' if round(v) == 0 else f'{v:+.0f}'} in 90 days",
    "csm_sentiment": lambda v: f"CSM pulse {v:.0f} of 5",
    "risk_phrase_count_91d": lambda v: _none_or("risk phrase", "no risk phrase")(v) + " in texts of 91 days",
    "text_sentiment_91d": lambda v: f"tone of texts {'0' if round(v, 1) == 0 else f'{v:+.1f}'} (-1 to 1) in 91 days",
    "renewal_pushed_days_91d": lambda v: (
        f"a renewal pushed by {counted(v, 'day')} in 91 days" if v > 0 else "no renewal pushed in 91 days"
    ),
    "employee_count_change_share_365d": _moved("the customer's employees", "on a year before"),
    "has_parent_changed_365d": _yes_no("another parent company than a year before", "the same parent company"),
    "active_users_change_share_4w": _moved("active users", "on the four weeks before"),
    "top_user_events_share_28d": lambda v: f"{percent(v)} of the use by one user",
    "usage_change_share_4w_year_before": _moved("usage a year earlier", "on the four weeks before those"),
    "workspaces_started_56d": lambda v: _none_or("new workspace", "no new workspace")(v) + " in 56 days",
    "oldest_open_high_priority_ticket_days": lambda v: (
        f"a ticket of high priority open for {counted(v, 'day')}" if v > 0 else "no ticket of high priority open"
    ),
    "ticket_baseline_28d": lambda v: f"{v:.1f} tickets in 28 days as a rule",
    "ticket_volume_ratio_28d": lambda v: f"{v:.1f} times the usual number of tickets",
    "defect_tickets_28d": lambda v: _none_or("defect", "no defect")(v) + " reported in 28 days",
    "escalated_open_tickets": _none_or("escalated open ticket", "no escalated open ticket"),
    "sponsor_left_90d": _yes_no("a sponsor left in 90 days", "no sponsor left"),
    "sponsor_meetings_missed_91d": lambda v: (
        f"a sponsor missed {counted(v, 'meeting')} in a row" if v > 0 else "no meeting missed by a sponsor"
    ),
    "silent_channels_60d": lambda v: _none_or("channel", "no channel")(v) + " silent for 60 days",
    # answers are whole points: one answer is no average
    "nps_points_90d": lambda v: (
        f"NPS answers of {v:.0f} points in 90 days"
        if v == round(v)
        else f"NPS answers of {v:.1f} points on average in 90 days"
    ),
    "nps_points_change_90d": lambda v: f"NPS answers {v:+.1f} points on the answers before",
    "max_milestone_slip_days": lambda v: (
        f"a milestone {counted(v, 'day')} behind its baseline" if v > 0 else "no milestone behind its baseline"
    ),
    "off_track_projects": _none_or("project", "no project off track", " off track"),
    "migration_projects": _none_or("migration project", "no migration project"),
    "goals_on_track_share": lambda v: f"{percent(v)} of the goals on track",
    "overdue_goals": _none_or("overdue goal", "no overdue goal"),
    "milestones_overdue_share": lambda v: f"{percent(v)} of the due milestones late",
    "onboarding_complete": _yes_no("onboarding complete", "onboarding not complete"),
    "open_risks": _none_or("open risk", "no open risk"),
    "max_open_risk_severity": lambda v: f"an open risk of severity {v:.0f} of 25",
}


def readable(name: str) -> str:
    """Write a feature's or measure's name in words: `tickets_opened_28d` is `tickets opened (28 days)`."""
    window = _WINDOW.search(name)
    words = " ".join(_ABBREVIATIONS.get(word, word) for word in _WINDOW.sub("", name).split("_"))
    if window is None:
        return words
    unit = "day" if window.group(2) == "d" else "week"
    return f"{words} ({counted(int(window.group(1)), unit)})"


def named(feature: str) -> str:
    """What a reader calls a feature: `goals_on_track_share` is `goals on track`; else its name in words."""
    return _NAMES.get(feature, readable(feature))


def describe_against(feature: str, value: float) -> str:
    """Say what a value says where it speaks against a risk: of a touch 13 days ago the touch, not the silence."""
    if feature in _SINCE and value >= 1:
        return f"{_SINCE[feature][0]} {counted(value, 'day')} ago"
    return describe(feature, value)


def describe(feature: str, value: float | None) -> str:
    """Say what a feature's value says, in words.

    Parameters
    ----------
    feature : a column of account_features_weekly; an unknown one is described by its name
    value : its raw value; None where it is missing

    Returns
    -------
    str
        Such as `usage down 40 % on the four weeks before`.
    """
    if value is None or math.isnan(value):
        return f"{readable(feature)} unknown"
    if feature in _DESCRIBE:
        return _DESCRIBE[feature](value)
    if feature.endswith("_phrases_28d"):
        subject = f"{readable(feature.removesuffix('_phrases_28d'))} phrase"
        return _none_or(subject, f"no {subject}")(value) + " in texts of 28 days"
    if feature.rpartition("_share")[1] and abs(value) <= 1:
        return f"{readable(feature)} {percent(value)}"
    # three digits of 4,321 would be 4.32e+03
    return f"{readable(feature)} {value:,.0f}" if abs(value) >= 1000 else f"{readable(feature)} {value:,.3g}"
