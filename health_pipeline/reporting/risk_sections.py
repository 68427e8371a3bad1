"""The weekly report's section on the risk review: missing evidence first, the queue, its counts, its line."""

from __future__ import annotations

from collections import Counter

from health_pipeline.policy.exception_queue import OTHER, QUEUES, RANDOM_AUDIT
from health_pipeline.policy.wording import counted, readable
from health_pipeline.reporting.figures import listed
from health_pipeline.reporting.release_data import ReleaseData, Row
from health_pipeline.reporting.sections import due_cell, owner_cell
from health_pipeline.reporting.tables import Cell, Table, cut

SEVERITIES = ("critical", "high", "medium", "low", None)
QUEUE_WORDS = {
    "behaviour_change": "Behaviour change",
    "support_friction": "Support friction",
    "value_risk": "Value risk",
    OTHER: "Other",
    RANDOM_AUDIT: "Drawn at random",
}
_TONES = {"critical": "bad", "high": "bad", "medium": "warn"}
ROWS_AT_ONCE = 10


def severity_words(severity: str | None) -> str:
    """A severity in words."""
    return "Not assessed" if severity is None else severity.capitalize()


def open_packets(data: ReleaseData) -> list[Row]:
    """The week's packets that stand in a queue."""
    return [row for row in data.packets if row["queue_rank"] is not None]


def missing_sentence(data: ReleaseData) -> str:
    """What evidence is missing, before anything is read as news."""
    packets = open_packets(data)
    if not packets:
        return "No packet is open this week. If packets are withheld, health-pipeline doctor says why."
    gaps = Counter(domain for row in packets for domain in (row["missing_domains"] or "").split(",") if domain)
    gappy = sum(bool(row["missing_domains"]) for row in packets)
    silent = sum(bool(row["has_only_absence"]) for row in packets)
    parts = []
    if gaps:
        named = listed([f"{readable(domain)} ({count:,})" for domain, count in gaps.most_common()])
        parts.append(f"Of {counted(len(packets), 'open packet')}, {gappy:,} could not be read whole: {named}.")
    else:
        parts.append(f"All domains could be read for {counted(len(packets), 'open packet')}.")
    if silent:
        rests = "rests" if silent == 1 else "rest"
        parts.append(f"{silent:,} {rests} on silence alone, which confirms nothing.")
    return " ".join(parts)


def line_sentence(data: ReleaseData) -> str:
    """The capacity line of reviews, and the random audit, in words."""
    placed = [row for row in data.queue if row["queue_rank"] is not None]
    drawn = [row for row in data.queue if row["subject"] == RANDOM_AUDIT]
    parts = []
    if placed and all(row["is_above_line"] is None for row in placed):
        parts.append(f"Entries that wait for a review: {len(placed):,}. No capacity for reviews is stated.")
    elif placed:
        below = [row for row in placed if not row["is_above_line"]]
        entering = sum(bool(row["would_enter_at_plus_10_percent"]) for row in below)
        parts.append(
            f"{len(placed) - len(below):,} of {len(placed):,} entries fit into their owners' hours for reviews."
        )
        if below:
            enters = "enters" if entering == 1 else "enter"
            parts.append(f"{len(below):,} fall below the line, of which {entering:,} {enters} with a tenth more.")
    quiet = Counter(row["side"] for row in data.packets if row["is_quiet"] and row["state"] != "closed")
    if quiet:
        named = listed([counted(count, one) for one, count in sorted(quiet.items(), reverse=True)])
        parts.append(f"{named} fell quiet and left the queue this week: closing them is proposed to a person.")
    if drawn:
        unflagged = round(len(drawn) / drawn[0]["inclusion_share"])
        parts.append(
            f"{counted(len(drawn), 'account')} of {unflagged:,} that nothing flagged are looked at as well, drawn at "
            "random, so that misses can be counted."
        )
    return " ".join(parts)


def queue_table(data: ReleaseData) -> Table:
    """The queue in its order; ids, metrics and words of the policy only, no quote and no person outside the company."""
    packets = {row["packet_id"]: row for row in data.packets}
    cells = []
    for row in sorted(
        data.queue, key=lambda one: (one["queue_rank"] is None, one["queue_rank"] or 0, one["account_id"])
    ):
        packet = packets.get(row["packet_id"])
        missing = (packet or {}).get("missing_domains")
        respond_by = (packet or {}).get("respond_by")
        severity = row["severity"] if packet else None
        line = _line_words(row)
        cells.append(
            (
                Cell(data.name_of(row), QUEUE_WORDS[row["queue"]]),
                Cell("" if row["queue_rank"] is None else f"{row['queue_rank']:,}"),
                Cell(severity_words(severity) if packet else "", tone=_TONES.get(severity or "", "")),
                Cell(", ".join(readable(domain) for domain in missing.split(",")) if missing else ""),
                Cell(row["queue_reason"]),
                owner_cell(data, row["owner_email"]),
                due_cell(respond_by, data.week) if respond_by else Cell(""),
                Cell(line, tone="warn" if line.startswith("below") else ""),
            )
        )
    columns = (
        ("Account", False),
        ("Place", True),
        ("Severity", False),
        ("Missing evidence", False),
        ("Why it has its place", False),
        ("Owner", False),
        ("Respond by", True),
        ("Line", False),
    )
    return cut(
        "The exception queue",
        columns,
        cells,
        "exception_queue_weekly",
        "in the queue's order",
        "Nothing stands in the exception queue this week.",
        fold_after=ROWS_AT_ONCE,
    )


def _line_words(row: Row) -> str:
    if row["subject"] == RANDOM_AUDIT:
        return "outside the order"
    if row["is_above_line"] is None:
        return ""
    if row["is_above_line"]:
        return "above"
    return "below, enters at +10 %" if row["would_enter_at_plus_10_percent"] else "below"


def counts_table(data: ReleaseData) -> Table:
    """Open risks and expansions by category and severity, with the queue that looks at each."""
    packets = open_packets(data)
    groups: dict[tuple[str, str | None], Counter[str | None]] = {}
    for row in packets:
        groups.setdefault((row["queue"], row["category"]), Counter())[row["severity"]] += 1
    order = (*QUEUES, OTHER)
    rows = [
        (
            Cell(readable(category).capitalize() if category else "Nothing fired this week"),
            Cell(QUEUE_WORDS[queue]),
            *(Cell(f"{counts[severity]:,}") for severity in SEVERITIES),
            Cell(f"{counts.total():,}"),
        )
        for (queue, category), counts in sorted(
            groups.items(), key=lambda one: (order.index(one[0][0]), -one[1].total(), one[0][1] or "")
        )
    ]
    columns = (
        ("Category", False),
        ("Queue", False),
        *((severity_words(severity), True) for severity in SEVERITIES),
        ("Open", True),
    )
    return Table("Open packets by category and severity", columns, rows, "No packet is open.")
