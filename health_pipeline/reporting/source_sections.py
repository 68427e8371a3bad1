"""The tables of the weekly report about what it rests on: sources, matching, coverage, incidents, the release."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.policy.company import DOMAIN_KINDS, CompanyPolicy
from health_pipeline.policy.features import KNOWN_STATUSES
from health_pipeline.policy.wording import counted, percent
from health_pipeline.reporting.causes import SOURCE_WORDS, is_unusual, usual_records
from health_pipeline.reporting.figures import HARD_SPACE, amount, clock, money
from health_pipeline.reporting.release_data import ReleaseData
from health_pipeline.reporting.sections import NO_OWNER
from health_pipeline.reporting.tables import Cell, Table, cut
from health_pipeline.reporting.verdict import revenue_of

# A closed incident is told for as long as a reader may remember the week it was open in.
CLOSED_SHOWN = timedelta(days=14)


class ReportedIncident(Protocol):
    """What the report shows of an incident."""

    @property
    def incident_id(self) -> str:
        """What `health-pipeline incidents` calls it."""

    @property
    def opened_at(self) -> datetime:
        """UTC."""

    @property
    def state(self) -> str:
        """`open`, `assigned` or `closed`."""

    @property
    def owner_email(self) -> str:
        """Who looks at it."""

    @property
    def title(self) -> str:
        """One line."""

    @property
    def closed_at(self) -> datetime | None:
        """UTC; None while it is not closed."""

    @property
    def closed_by(self) -> str | None:
        """Who closed it."""

    @property
    def note(self) -> str | None:
        """What it was, in the words of who closed it."""

    def age(self, now: datetime) -> str:
        """How long it has been open, in words."""


def freshness_table(data: ReleaseData) -> Table:
    """Each kind of source: connected, fresh, matched."""
    cells = []
    for row in sorted(data.freshness, key=lambda r: list(SOURCE_WORDS).index(r["source_kind"])):
        name = SOURCE_WORDS[row["source_kind"]]
        if not row["is_connected"]:
            state = Cell("not connected", "required" if row["is_required"] else "", tone="warn")
        elif row["is_stale"]:
            state = Cell(
                "stale", "required" if row["is_required"] else "", tone="bad" if row["is_required"] else "warn"
            )
        else:
            state = Cell("fresh", "required" if row["is_required"] else "", tone="good")
        known = row["source_accounts"] or 0
        usual, new = usual_records(data, row["source_kind"])
        odd = usual is not None and new is not None and is_unusual(new, usual)
        cells.append(
            (
                Cell(name[0].upper() + name[1:]),
                state,
                Cell(clock(row["newest_load_at"])),
                Cell(clock(row["newest_fact_at"])),
                Cell(f"{row['records'] or 0:,}" if row["is_connected"] else "unknown"),
                Cell(
                    "unknown" if new is None or not row["is_connected"] else f"{new:,}",
                    "" if usual is None else f"usually {usual:,.0f}",
                    tone="warn" if odd else "",
                ),
                Cell(
                    "unknown" if row["match_share"] is None else percent(row["match_share"]),
                    f"{row['matched_accounts'] or 0:,} of {known:,}" if known else "",
                    share=row["match_share"],
                ),
            )
        )
    columns = (
        ("Source", False),
        ("State", False),
        ("Newest load", False),
        ("Newest fact", False),
        ("Records", True),
        ("New this week", True),
        ("Matched to accounts", True),
    )
    return Table("Sources as known this week", columns, cells, "No source was known this week.")


def matching_sentence(data: ReleaseData, currency: str) -> str:
    """How much of the sources belongs to an account: by number, and by revenue."""
    known = sum(row["source_accounts"] or 0 for row in data.freshness)
    matched = sum(row["matched_accounts"] or 0 for row in data.freshness)
    parts = []
    if known:
        parts.append(f"{matched:,} of {known:,} source accounts belong to an account ({_share(matched, known)})")
    arr, stakes = (
        revenue_of(data.health),
        [row["revenue_at_stake"] for row in data.unmatched if row["revenue_at_stake"]],
    )
    at_stake = sum(stakes, Decimal(0))
    if arr is not None:
        share = _share(float(arr), float(arr + at_stake))
        parts.append(f"by revenue {share}: {money(at_stake, currency)} hangs on records of no account")
    elif stakes:
        parts.append(f"{money(at_stake, currency)} hangs on records of no account")
    if not parts:
        return "What the sources know of accounts is unknown."
    text = "; ".join(parts) + "."
    return text if data.unmatched else f"{text} Every source record belongs to an account."


def _share(part: float, whole: float) -> str:
    """A share with a decimal where it would read as all and is not."""
    share = part / whole if whole else 0.0
    return f"{int(share * 1000) / 10:.1f} %".replace(" ", HARD_SPACE) if 0.99 <= share < 1 else percent(share)


def unmatched_table(data: ReleaseData, currency: str) -> Table:
    """What belongs to no account, by revenue at stake."""
    rows = sorted(
        data.unmatched,
        key=lambda row: (-(row["revenue_at_stake"] or Decimal(-1)), -row["records"], row["source_account_id"]),
    )
    cells = [
        (
            Cell(row["source_account_id"] or "records that name no account", SOURCE_WORDS[row["source_kind"]]),
            Cell(amount(row["revenue_at_stake"])),
            Cell(f"{row['records']:,}"),
            Cell(row["reason"] or ""),
            Cell(
                data.names.get(row["suggested_account_id"], str(row["suggested_account_id"]))
                if row["suggested_account_id"]
                else "none",
                f"{percent(row['suggestion_confidence'])} alike"
                if row["suggested_account_id"] and row["suggestion_confidence"] is not None
                else "",
            ),
        )
        for row in rows
    ]
    columns = (
        ("Source record", False),
        (f"Revenue at stake, {currency}", True),
        ("Records", True),
        ("Why nothing matched", False),
        ("Suggested account", False),
    )
    return cut(
        "Source records of no account",
        columns,
        cells,
        "unmatched_records",
        "by revenue at stake",
        "Every source record belongs to an account.",
        fold_after=8,
    )


def coverage_table(data: ReleaseData, company: CompanyPolicy) -> Table:
    """Of how many accounts each domain is known, silent, unknown or out of date."""
    counts: dict[str, dict[str, int]] = {}
    for row in data.domains:
        counts.setdefault(row["domain"], {})[row["status"]] = row["accounts"]
    cells = []
    for domain in DOMAIN_KINDS:
        if domain not in counts:
            continue
        found = counts[domain]
        total = sum(found.values())
        if domain in company.not_applicable_domains:
            cells.append((Cell(domain.capitalize()), Cell("not applicable"), *[Cell("")] * 4))
            continue
        known = sum(found.get(status, 0) for status in KNOWN_STATUSES)
        cells.append(
            (
                Cell(domain.capitalize()),
                Cell(percent(known / total), share=known / total),
                *(Cell(f"{found.get(status, 0):,}") for status in ("measured", "zero", "stale", "missing")),
            )
        )
    columns = (
        ("Domain", False),
        ("Known", True),
        ("With facts", True),
        ("Silent", True),
        ("Out of date", True),
        ("Unknown", True),
    )
    return Table("Accounts by what is known of them", columns, cells, "No feature was published for this week.")


def incidents_table(incidents: Sequence[ReportedIncident], now: datetime) -> Table:
    """Data incidents that are not closed, oldest first, then the ones closed lately with their notes."""
    lately = [one for one in incidents if one.closed_at is not None and naive_utc(now) - one.closed_at <= CLOSED_SHOWN]
    waiting = [one for one in incidents if one.state != "closed"]
    cells = [
        (
            Cell(incident.title, incident.incident_id),
            Cell(incident.state, tone={"open": "bad", "assigned": "warn"}.get(incident.state, "good")),
            Cell(incident.owner_email or NO_OWNER, tone="" if incident.owner_email else "bad"),
            Cell(clock(incident.opened_at)),
            Cell(incident.age(now)),
            Cell(f"{incident.closed_by}: {incident.note}" if incident.state == "closed" else ""),
        )
        for incident in [
            *sorted(waiting, key=lambda one: one.opened_at),
            *sorted(lately, key=lambda one: one.opened_at),
        ]
    ]
    columns = (
        ("Incident", False),
        ("State", False),
        ("Owner", False),
        ("Opened", False),
        ("Age", True),
        ("How it was closed", False),
    )
    return Table(
        "Data incidents",
        columns,
        cells,
        f"No data incident is open, and none was closed in {CLOSED_SHOWN.days} days.",
        fold_after=10,
    )


def incidents_sentence(incidents: Sequence[ReportedIncident], now: datetime) -> str:
    """How many wait for somebody, and for how long."""
    waiting = [one for one in incidents if one.state != "closed"]
    if not waiting:
        return ""
    oldest = min(waiting, key=lambda one: one.opened_at)
    unassigned = sum(one.state == "open" for one in waiting)
    text = f"{counted(len(waiting), 'data incident')} {'is' if len(waiting) == 1 else 'are'} not closed"
    text += f", {unassigned:,} of them without a person" if unassigned else ""
    return f"{text}; the oldest for {oldest.age(now)}."


def provenance(data: ReleaseData) -> list[tuple[str, str]]:
    """(what, value) that say which release this is and why it may be trusted."""
    manifest = data.manifest
    found = manifest.get("verdict") or {}
    checks = found.get("checks_evaluated") or []
    warnings = found.get("warnings") or []
    versions = manifest.get("versions") or {}

    def distinct(column: str) -> str:
        return ", ".join(sorted({row[column] for row in data.health if row[column]})) or "unknown"

    audit = (
        f"passed: {counted(len(checks), 'check')} evaluated, {counted(len(warnings), 'warning')}"
        if found
        else "no verdict is recorded"
    )
    facts = [
        ("Release", manifest.get("release") or "unknown"),
        ("Built on", manifest.get("base_release") or "nothing: the first release"),
        ("Kind", f"{manifest.get('kind') or 'unknown'}{_because(manifest.get('reason'))}"),
        ("Built", clock(_instant(manifest.get("built_at")))),
        ("Published", clock(_instant(manifest.get("published_at")))),
        ("Audit", audit),
        ("Verdict", found.get("verdict_id") or "unknown"),
        ("dbt invocation", found.get("dbt_invocation_id") or "none"),
        ("Content hash", manifest.get("content_hash") or "unknown"),
        ("Policy version", distinct("policy_version")),
        ("Scoring code", distinct("code_version")),
        *((f"Version of {name.replace('_', ' ')}", str(value)) for name, value in sorted(versions.items())),
    ]
    if warnings:
        facts.append(("Warnings", ", ".join(warnings)))
    return facts


def _because(reason: str | None) -> str:
    return f", because {reason}" if reason else ""


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
