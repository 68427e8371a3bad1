"""The words of `load --check`: what would come in, what it would be good for, and what it would leave out."""

from __future__ import annotations

from collections.abc import Iterator

from health_pipeline.contract.landing import landing_tables
from health_pipeline.orchestration.load_check import CheckedLoad, Coverage, LoadCheck
from health_pipeline.sources.preview import TablePreview

# Optional columns whose absence is worth a word, because something people look at rests on them.
_WORTH_A_WORD = {
    "source_account": ("owner_email", "domain", "external_account_id"),
    "billing_subscription": ("arr", "quantity", "current_period_end"),
    "billing_invoice": ("due_date", "paid_at"),
    "support_ticket": ("source_account_id", "first_response_at", "solved_at"),
    "survey_response": ("source_account_id",),
    "usage_event": ("group_id", "user_id", "feature_key"),
    "cs_note": ("direction", "attendee_emails"),
}
_MOST_MISSING = 6


def told(check: LoadCheck) -> Iterator[str]:
    """What a person reads, line by line."""
    for load in check.loads:
        yield from _load(load)
    if check.coverage is not None and not check.is_refused:
        yield from _coverage(check.coverage)
    if check.stale and not check.is_refused:
        yield "A first review would stumble over:"
        yield from (f"  {sentence}" for sentence in check.stale)
    if check.decisions:
        yield "The mapping still asks (a line stays out until you decide):"
        yield from (f"  {decision}" for decision in check.decisions)
    if check.is_refused:
        yield "Nothing was written. Mend what is named above and check again."
    else:
        yield "Nothing was written. Without --check this would be loaded."


def _load(load: CheckedLoad) -> Iterator[str]:
    result = load.result
    word = {
        "committed": f"would come in, {load.mode}",
        "duplicate": "is there already",
        "held": "would be held back for a person to accept",
        "refused": "would be REFUSED",
        "ready": "would come in",
    }[result.status]
    yield f"{result.source_kind} from {result.source_system}: {word}"
    marker = "- " if result.status == "refused" else ""
    yield from (f"  {marker}{message}" for message in result.messages)
    for table in load.tables:
        yield from _table(table)
    if load.match is not None:
        match = load.match
        share = f"{match.matched / match.accounts:.0%}" if match.accounts else "none"
        by = ", ".join(f"{count} by {method}" for method, count in match.methods)
        how = f": {by}" if by else ""
        yield f"  accounts: {match.matched} of {match.accounts} ({share}) would belong to a customer{how}"
        for reason, count in match.reasons[:3]:
            yield f"    {count} would wait in the queue of unmatched records: {reason}"


def _table(table: TablePreview) -> Iterator[str]:
    left_out = f" of {table.delivered:,} in the files" if table.delivered != table.accepted else ""
    span = f", {table.first_at:%Y-%m-%d} to {table.last_at:%Y-%m-%d}" if table.first_at and table.last_at else ""
    yield f"  {table.table}: {table.accepted:,} rows{left_out}{span}"
    required = [name for name in landing_tables()[table.table].required if table.null_shares.get(name)]
    worth = [*required, *(name for name in _WORTH_A_WORD.get(table.table, ()) if table.null_shares.get(name))]
    if worth and table.accepted:
        yield "    empty: " + ", ".join(f"{name} on {table.null_shares[name]:.0%}" for name in worth)
    if table.without_account:
        yield (
            f"    {table.without_account:,} of {table.accepted:,} rows name no account of this source, so they count "
            "for nobody until one does"
        )
    if table.imputed and table.counts_from_load:
        yield (
            f"    {table.counts_from_load:,} of {table.accepted:,} rows do not say when they last changed "
            "(source_updated_at): what can change of them (owner, status, price) is unknown before today"
        )


def _coverage(coverage: Coverage) -> Iterator[str]:
    yield (
        f"With this, at most {coverage.share:.0%} of the score's weight can be measured; an account is scored from "
        f"{coverage.floor:.0%} on."
    )
    if coverage.share < coverage.floor:
        yield (
            "  So no account would be scored yet: connect another source, or say in company.yaml which domains do not "
            f"apply to you (not_applicable_domains; without any data are {', '.join(coverage.silent_domains)})."
        )
    by_columns: dict[tuple[str, ...], tuple[float, list[str]]] = {}
    for measure, weight, columns in coverage.missing:
        share, names = by_columns.get(columns, (0.0, []))
        by_columns[columns] = (share + weight, [*names, measure])
    ordered = sorted(by_columns.items(), key=lambda entry: -entry[1][0])
    for columns, (share, names) in ordered[:_MOST_MISSING]:
        yield f"  {share:.0%} for lack of {' and '.join(columns)}: {', '.join(names)}"
    if len(ordered) > _MOST_MISSING:
        rest = sum(share for _, (share, _) in ordered[_MOST_MISSING:])
        yield f"  {rest:.0%} for lack of {len(ordered) - _MOST_MISSING} more columns"
