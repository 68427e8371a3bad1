"""The tables of the weekly report about tickets: defect themes for engineering, support load for the support lead."""

from __future__ import annotations

from health_pipeline.policy.defect_themes import NO_THEME
from health_pipeline.policy.wording import counted, percent
from health_pipeline.reporting.figures import amount, listed, signed
from health_pipeline.reporting.release_data import ReleaseData, Row
from health_pipeline.reporting.sections import owner_cell
from health_pipeline.reporting.tables import Cell, Table, cut

KIND_WORDS = {"defect": "defect", "product_gap": "product gap", "none": ""}
_ABBREVIATIONS = {"api": "API"}


def feature_words(key: str) -> str:
    """A feature key in words."""
    return _ABBREVIATIONS.get(key, key.replace("_", " ").replace("-", " "))


def _spoken_of(data: ReleaseData) -> list[Row]:
    """Themes with a ticket, the most revenue behind them first."""
    rows = [row for row in data.themes if row["theme"] != NO_THEME and (row["tickets_91d"] or row["open_tickets"])]
    return sorted(rows, key=lambda row: (-(row["arr_reporting"] or 0), -row["accounts"], row["theme"]))


def themes_table(data: ReleaseData, currency: str) -> Table:
    """Defect themes by the revenue behind them, with the rules that matched."""
    cells = []
    for row in _spoken_of(data):
        unknown = row["accounts_without_arr"]
        cells.append(
            (
                Cell(row["title"], KIND_WORDS[row["kind"]]),
                _with_change(row["accounts"], row["accounts_change"]),
                Cell(
                    amount(row["arr_reporting"]),
                    "; ".join(
                        part
                        for part in (
                            "" if row["arr_reporting_change"] is None else signed(float(row["arr_reporting_change"])),
                            f"{unknown:,} unknown" if unknown and row["arr_reporting"] is not None else "",
                        )
                        if part
                    ),
                ),
                _with_change(row["tickets_91d"], row["tickets_91d_change"]),
                Cell(f"{row['open_tickets']:,}"),
                Cell(_features(row["features"])),
                Cell((row["rules"] or "").replace("_", " ")),
            )
        )
    columns = (
        ("Theme", False),
        ("Accounts", True),
        (f"Revenue, {currency}", True),
        ("Tickets, 91 days", True),
        ("Open", True),
        ("Features named", False),
        ("Rules that matched", False),
    )
    return Table("Defect themes by revenue behind them", columns, cells, _why_empty(data))


def _with_change(value: int, change: int | None) -> Cell:
    return Cell(f"{value:,}", change="" if change is None else signed(change))


def _features(text: str | None) -> str:
    """The first features of a theme; all are in the table by feature."""
    if not text:
        return ""
    named = [part.rpartition(" (") for part in text.split(", ") if part.endswith(")")]
    words = [f"{feature_words(name)} ({count}" for name, _, count in named if name != "unknown"]
    return ", ".join(words[:3])


def _why_empty(data: ReleaseData) -> str:
    if not data.themes:
        return "No support desk was connected this week: what tickets are about is unknown."
    return "No ticket of 91 days matches a rule of the defect themes."


def themes_sentence(data: ReleaseData) -> str:
    """How many tickets the rules took, and how the change is read."""
    total = sum(row["tickets_91d"] for row in data.themes)
    if not total:
        return ""
    none = sum(row["tickets_91d"] for row in data.themes if row["theme"] == NO_THEME)
    return (
        f"{total - none:,} of {counted(total, 'ticket')} of 91 days match a rule of defect_themes.yaml, each the first "
        f"that does; {none:,} match none. An account counts in each of its themes, so revenue does not sum over them."
    )


def theme_features_table(data: ReleaseData, currency: str) -> Table:
    """Theme by feature, by the revenue behind it: where to start mending."""
    titles: dict[str, str] = {row["theme"]: row["title"] for row in data.themes}
    cells = [
        (
            Cell(titles.get(str(row["theme"]), str(row["theme"]))),
            Cell("no feature named" if row["feature_key"] == "unknown" else feature_words(row["feature_key"])),
            Cell(f"{row['accounts']:,}"),
            Cell(amount(row["arr_reporting"])),
            Cell(f"{row['tickets_91d']:,}"),
        )
        for row in data.theme_features
        if row["theme"] != NO_THEME
    ]
    columns = (
        ("Theme", False),
        ("Feature", False),
        ("Accounts", True),
        (f"Revenue, {currency}", True),
        ("Tickets, 91 days", True),
    )
    return cut(
        "Defect themes by feature",
        columns,
        cells,
        "defect_theme_accounts_weekly",
        "largest revenue first",
        _why_empty(data),
        fold_after=8,
    )


def support_table(data: ReleaseData, currency: str) -> Table:
    """Accounts by support load."""
    cells = [
        (
            Cell(data.name_of(row)),
            Cell(f"{row['tickets_opened_91d']:,}", f"{row['tickets_opened_28d']:,} in 28 days"),
            Cell(
                f"{row['open_backlog']:,}",
                ""
                if row["oldest_open_ticket_days"] is None
                else f"oldest {counted(row['oldest_open_ticket_days'], 'day')}",
            ),
            Cell(f"{row['unreplied_open_tickets']:,}", tone="bad" if row["unreplied_open_tickets"] else ""),
            Cell("" if row["urgent_high_share_91d"] is None else percent(row["urgent_high_share_91d"])),
            Cell(
                "unknown" if row["minutes_spent_91d"] is None else f"{row['minutes_spent_91d'] / 60:,.1f}", _known(row)
            ),
            Cell(amount(row["arr_reporting"])),
            Cell("unknown" if row["tickets_91d_per_100k_arr"] is None else f"{row['tickets_91d_per_100k_arr']:,.1f}"),
            owner_cell(data, row["owner_email"]),
        )
        for row in data.support[:60]
    ]
    columns = (
        ("Account", False),
        ("Tickets, 91 days", True),
        ("Open", True),
        ("Without a reply", True),
        ("Urgent or high", True),
        ("Hours spent", True),
        (f"Revenue, {currency}", True),
        (f"Tickets per {currency} 100 k", True),
        ("Owner", False),
    )
    return cut(
        "Accounts by support load",
        columns,
        cells,
        "support_load_weekly",
        "most tickets first",
        _nobody(data),
        total=len(data.support),
        fold_after=10,
    )


def _known(row: Row) -> str:
    known, tickets = row["tickets_with_minutes_91d"], row["tickets_opened_91d"]
    return "" if row["minutes_spent_91d"] is None or known == tickets else f"of {counted(known, 'ticket')}"


def _nobody(data: ReleaseData) -> str:
    connected = any(row["source_kind"] == "support" and row["is_connected"] for row in data.freshness)
    return "No account had a ticket in 91 days." if connected else "No support desk was connected: the load is unknown."


def support_sentence(data: ReleaseData) -> str:
    """The load as a whole, and how much of it a few accounts make."""
    tickets = sum(row["tickets_opened_91d"] for row in data.support)
    if not tickets:
        return ""
    top = data.support[: max(1, len(data.support) // 10)]
    share = sum(row["tickets_opened_91d"] for row in top) / tickets
    backlog = sum(row["open_backlog"] for row in data.support)
    text = (
        f"{counted(tickets, 'ticket')} in 91 days; {backlog:,} are open, older ones included. The tenth of the "
        f"accounts with the most tickets makes {percent(share)} of them."
    )
    minutes = [row["minutes_spent_91d"] for row in data.support if row["minutes_spent_91d"] is not None]
    return text + (f" They took {sum(minutes) / 60:,.0f} hours, as far as minutes are recorded." if minutes else "")


def support_segments_table(data: ReleaseData, currency: str) -> Table:
    """Segments by support load: tickets, backlog and hours against revenue."""
    load = {row["account_id"]: row for row in data.support}
    groups: dict[str, list[Row]] = {}
    for row in data.health if data.support else []:
        groups.setdefault(row["segment"] or "unsegmented", []).append(row)
    total = sum(row["tickets_opened_91d"] for row in data.support)
    cells = []
    for segment, rows in groups.items():
        own = [load[row["account_id"]] for row in rows if row["account_id"] in load]
        tickets = sum(row["tickets_opened_91d"] for row in own)
        minutes = [row["minutes_spent_91d"] for row in own if row["minutes_spent_91d"] is not None]
        known = [row["arr_reporting"] for row in rows if row["arr_reporting"] is not None]
        revenue = sum(known) if known else None
        # Only accounts of known revenue on both sides of the ratio.
        priced = sum(row["tickets_opened_91d"] for row in own if row["arr_reporting"] is not None)
        cells.append(
            (
                tickets,
                (
                    Cell(segment),
                    Cell(f"{len(rows):,}"),
                    Cell(f"{tickets:,}", share=tickets / total if total else None),
                    Cell(f"{tickets / len(rows):.1f}"),
                    Cell(f"{sum(row['open_backlog'] for row in own):,}"),
                    Cell(f"{sum(minutes) / 60:,.0f}" if minutes else "unknown"),
                    Cell(amount(revenue)),
                    Cell(f"{100_000 * priced / float(revenue):,.1f}" if revenue else "unknown"),
                ),
            )
        )
    columns = (
        ("Segment", False),
        ("Accounts", True),
        ("Tickets, 91 days", True),
        ("Per account", True),
        ("Open", True),
        ("Hours spent", True),
        (f"Revenue, {currency}", True),
        (f"Tickets per {currency} 100 k", True),
    )
    ordered = [row for _, row in sorted(cells, key=lambda one: (-one[0], one[1][0].text))]
    return Table("Segments by support load", columns, ordered, _nobody(data))


def themes_headline(data: ReleaseData) -> str:
    """The themes with the most revenue behind them, in words, for a preview."""
    words = [f"{row['title'].lower()} ({row['accounts']:,})" for row in _spoken_of(data)[:3]]
    return f"Most revenue behind: {listed(words)}." if words else ""
