"""Defect themes: each recent ticket under the first rule that matches, and the accounts and revenue behind a theme."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.contract.clocks import Week
from health_pipeline.contract.mart import mart_tables
from health_pipeline.policy.defect_themes import NO_THEME, DefectThemePolicy, ThemeRule
from health_pipeline.policy.documents import Document

NO_THEME_TITLE = "No theme: other matters, or nothing known of them"
NO_RULE_MATCHED = "no_rule_matched"
NOTHING_KNOWN = "nothing_known"
UNKNOWN_FEATURE = "unknown"
NAMED = 6  # rules or features named in a cell
_KEY = ["week", "theme", "rule", "feature_key", "account_id"]


@dataclass(frozen=True)
class Themes:
    """What is published of the tickets' themes; no word of a ticket is in it.

    Attributes
    ----------
    themes : defect_themes_weekly
    accounts : defect_theme_accounts_weekly
    """

    themes: pa.Table
    accounts: pa.Table


def pattern_of(phrase: str) -> str:
    """The RE2 pattern of a phrase: its words in a row, not inside other words, whatever white space is between."""
    words = [re.escape(word.rstrip("*")) + (r"[\pL\pN_]*" if word.endswith("*") else "") for word in phrase.split()]
    return r"(?:^|[^\pL\pN_])(?:" + r"\s+".join(words) + r")(?:$|[^\pL\pN_])"


def first_rules(wordings: pa.Table, policy: DefectThemePolicy) -> np.ndarray:
    """Find the first rule that matches each wording.

    Parameters
    ----------
    wordings : pyarrow.Table
        Columns ticket_type, feature_key and the text fields; a null matches no condition.

    Returns
    -------
    numpy.ndarray of shape (rows,), int16
        Place of the rule in `policy.rules`; -1 where none matches.
    """
    half = wordings.num_rows // 2
    # regular expressions leave Python to others
    with ThreadPoolExecutor(2, thread_name_prefix="themes") as threads:
        found = threads.map(lambda rows: _first_rules(rows, policy), (wordings.slice(0, half), wordings.slice(half)))
        return np.concatenate(list(found))


def _first_rules(wordings: pa.Table, policy: DefectThemePolicy) -> np.ndarray:
    found = np.full(wordings.num_rows, -1, dtype=np.int16)
    left = np.arange(wordings.num_rows)
    read = _as_read(wordings, policy)
    for place, (_, rule) in enumerate(policy.rules):
        if not len(left):
            break
        matches = _matches(read.take(left), rule, policy)
        found[left[matches]] = place
        left = left[~matches]
    return found


def _as_read(wordings: pa.Table, policy: DefectThemePolicy) -> pa.Table:
    """What the rules look at, in the spelling that they are held against."""
    columns: dict[str, pa.ChunkedArray] = {}
    for name in ("ticket_type", "feature_key"):
        columns[name] = pc.utf8_trim_whitespace(pc.utf8_lower(wordings[name]))
    for field in policy.text_fields:
        columns[field] = pc.replace_substring(pc.utf8_normalize(wordings[field], form="NFKC"), "’", "'")
    return pa.table(columns)


def _matches(rows: pa.Table, rule: ThemeRule, policy: DefectThemePolicy) -> np.ndarray:
    held = np.ones(rows.num_rows, dtype=bool)
    for column, entries in (("ticket_type", rule.types), ("feature_key", rule.feature_keys)):
        if entries:
            held &= _known_true(pc.is_in(rows[column], value_set=pa.array(entries)))
    if rule.phrases:
        pattern = "|".join(pattern_of(phrase) for phrase in rule.phrases)
        says = np.zeros(rows.num_rows, dtype=bool)
        for field in policy.text_fields:
            says |= _known_true(pc.match_substring_regex(rows[field], pattern.replace("’", "'"), ignore_case=True))
        held &= says
    return held


def _known_true(mask: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.fill_null(mask, False).to_numpy(zero_copy_only=False), dtype=bool)


def theme_weeks(
    tickets: pa.Table,
    wordings: pa.Table,
    health: pa.Table,
    weeks: Sequence[Week],
    connected: Sequence[Week],
    policy: Document[DefectThemePolicy],
    previous: pa.Table,
) -> Themes:
    """Count tickets and accounts, and sum the revenue behind each theme, week by week.

    Parameters
    ----------
    tickets, wordings : as `mart.tickets.RecentTickets` has them
    health : pyarrow.Table
        account_id, week, arr_reporting, as_of_at and known_at of the weeks' live accounts (account_health_weekly).
    weeks : the run's weeks
    connected : of these, the weeks in which a support desk was connected; another week has no row, as nothing is known
    policy : the themes and rules
    previous : pyarrow.Table
        defect_themes_weekly of the week before the first; a change against other themes is null.

    Returns
    -------
    Themes
        A row per theme of the policy and connected week, with zeros where no ticket speaks of it.
    """
    rules = list(policy.model.rules)
    place = first_rules(wordings, policy.model)
    rows = _ticket_rows(tickets, wordings, place, rules)
    accounts = _account_rows(rows, health, policy.hash)
    theme_rows: list[dict[str, Any]] = []
    before = _by_theme(previous.to_pylist(), policy.hash)
    before_week = weeks[0].shift(-1) if weeks else None
    clocks = _clocks(health)
    for week in sorted(set(weeks)):
        if before_week != week.shift(-1):
            before = {}
        current: list[dict[str, Any]] = []
        if week in connected and week.monday in clocks:
            of_week = accounts[accounts["week"] == week.monday]
            current = [
                {**_theme_row(week, theme, title, kind, of_week, before), **clocks[week.monday]}
                for theme, title, kind in _named_themes(policy.model)
            ]
            for row in current:
                row["policy_version"] = policy.hash
        theme_rows += current
        before, before_week = _by_theme(current, policy.hash), week
    contract = mart_tables()
    schema = contract["defect_theme_accounts_weekly"].arrow_schema
    known = accounts[accounts["week"].isin([week.monday for week in connected])] if len(accounts) else accounts
    return Themes(
        pa.Table.from_pylist(theme_rows, schema=contract["defect_themes_weekly"].arrow_schema),
        pa.table([pa.array(known[name], type=schema.field(name).type) for name in schema.names], schema=schema)
        if len(known)
        else schema.empty_table(),
    )


def _named_themes(policy: DefectThemePolicy) -> list[tuple[str, str, str]]:
    return [*((theme.id, theme.title, theme.kind) for theme in policy.themes), (NO_THEME, NO_THEME_TITLE, "none")]


def _by_theme(rows: Sequence[dict[str, Any]], policy_hash: str) -> dict[str, dict[str, Any]]:
    return {row["theme"]: row for row in rows if row["policy_version"] == policy_hash}


def _clocks(health: pa.Table) -> dict[Any, dict[str, Any]]:
    return {
        row["week"]: {"as_of_at": row["as_of_at"], "known_at": row["known_at"]}
        for row in health.group_by(["week"]).aggregate([("as_of_at", "min"), ("known_at", "min")])
        .rename_columns(["week", "as_of_at", "known_at"]).to_pylist()
    }  # fmt: skip


def _ticket_rows(tickets: pa.Table, wordings: pa.Table, place: np.ndarray, rules: list[Any]) -> pd.DataFrame:
    """Each ticket of each week with theme, rule and feature: ids only from here on."""
    themes = np.array([*(theme.id for theme, _ in rules), NO_THEME], dtype=object)
    names = np.array([*(rule.id for _, rule in rules), NO_RULE_MATCHED], dtype=object)
    known = np.zeros(wordings.num_rows, dtype=bool)
    for column in ("ticket_type", "feature_key", "subject", "body"):
        known |= np.asarray(wordings[column].is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    rule = np.where(known, names[place], NOTHING_KNOWN)
    features = pc.fill_null(wordings["feature_key"], UNKNOWN_FEATURE).to_numpy(zero_copy_only=False)
    order = pd.Index(wordings["wording_id"].to_numpy())
    rows = tickets.to_pandas(date_as_object=True)
    at = order.get_indexer(rows["wording_id"])
    return rows.assign(theme=themes[place][at], rule=rule[at], feature_key=features[at]).drop(columns="wording_id")


def _account_rows(rows: pd.DataFrame, health: pa.Table, policy_hash: str) -> pd.DataFrame:
    counts = rows.groupby(_KEY, sort=True)[["is_of_28d", "is_of_91d", "is_open"]].sum().astype(int).reset_index()
    counts = counts.rename(columns={"is_of_28d": "tickets_28d", "is_of_91d": "tickets_91d", "is_open": "open_tickets"})
    revenue = {
        (row["account_id"], row["week"]): row
        for row in health.select(["account_id", "week", "arr_reporting", "as_of_at", "known_at"]).to_pylist()
    }
    found = [revenue.get(key) for key in zip(counts["account_id"], counts["week"], strict=True)]
    counts = counts[np.array([row is not None for row in found], dtype=bool)].copy()
    live = [row for row in found if row is not None]
    for column in ("arr_reporting", "as_of_at", "known_at"):
        counts[column] = pd.Series([row[column] for row in live], index=counts.index, dtype=object)
    return counts.assign(policy_version=policy_hash)


def _theme_row(
    week: Week, theme: str, title: str, kind: str, accounts: pd.DataFrame, before: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    own = accounts[accounts["theme"] == theme]
    recent = own[own["tickets_91d"] > 0].drop_duplicates("account_id")
    known = [value for value in recent["arr_reporting"] if value is not None]
    # No account at all is 0; accounts of which no revenue is known are null.
    arr = sum(known, Decimal("0.00")) if known or recent.empty else None
    row: dict[str, Any] = {
        "week": week.monday,
        "theme": theme,
        "title": title,
        "kind": kind,
        "accounts": len(recent),
        "tickets_28d": int(own["tickets_28d"].sum()),
        "tickets_91d": int(own["tickets_91d"].sum()),
        "open_tickets": int(own["open_tickets"].sum()),
        "arr_reporting": arr,
        "accounts_without_arr": len(recent) - len(known),
        "rules": _named(own, "rule"),
        "features": _named(own, "feature_key"),
    }
    earlier = before.get(theme)
    for column in ("accounts", "tickets_91d", "arr_reporting"):
        both = earlier is not None and row[column] is not None and earlier[column] is not None
        row[f"{column}_change"] = row[column] - earlier[column] if both and earlier is not None else None
    return row


def _named(rows: pd.DataFrame, column: str) -> str | None:
    counts = rows.groupby(column)["tickets_91d"].sum()
    ordered = sorted(((count, name) for name, count in counts.items() if count), key=lambda one: (-one[0], one[1]))
    words = [f"{name} ({count})" for count, name in ordered[:NAMED]]
    more = len(ordered) - len(words)
    return ", ".join([*words, *([f"{more} more"] if more else [])]) or None
