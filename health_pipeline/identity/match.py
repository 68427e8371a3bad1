"""How much of what the systems know is matched to an account: by count and by revenue, as known at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from health_pipeline.identity.crosswalk import Crosswalk

# source kind, system, instance, id
RecordKey = tuple[str, str, str, str]
_KEY = ("source_kind", "source_system", "source_instance", "source_account_id")


@dataclass(frozen=True)
class MatchRate:
    """Known and matched records of one kind, or of all, and the revenue that hangs on them.

    A share is None where its denominator is 0: nothing known is not nothing matched.
    """

    source_kind: str
    records: int
    matched_records: int
    revenue: Decimal
    matched_revenue: Decimal

    @property
    def share_by_count(self) -> float | None:
        """Matched by known records, 0 to 1."""
        return self.matched_records / self.records if self.records else None

    @property
    def share_by_revenue(self) -> float | None:
        """Revenue of matched by revenue of known records, 0 to 1."""
        return float(self.matched_revenue / self.revenue) if self.revenue else None


def links_as_known(links: pa.Table, known_at: datetime) -> pa.Table:
    """Return the links in force at a time, naive UTC: begun by then, and not ended by then."""
    moment = pa.scalar(known_at, pa.timestamp("us"))
    begun = pc.less_equal(links["valid_from"], moment)
    holds = pc.or_kleene(pc.is_null(links["valid_to"]), pc.greater(links["valid_to"], moment))
    return links.filter(pc.and_(begun, holds))


def match_rate(
    crosswalk: Crosswalk,
    known_at: datetime,
    revenue_by_record: Mapping[RecordKey, Decimal] | None = None,
) -> list[MatchRate]:
    """Count matched and unmatched records, and the revenue behind them.

    Parameters
    ----------
    crosswalk : as `build_crosswalk` returns it
    known_at : links are read as known then; the unmatched are those of now that were seen by then
    revenue_by_record : revenue in one currency by (kind, system, instance, id); none where it is not named

    Returns
    -------
    list of MatchRate
        One per kind that knows a record, in alphabetical order, then `all`.
    """
    revenue_by_record = revenue_by_record or {}
    matched = set(_keys(links_as_known(crosswalk.links, known_at)))
    moment = pa.scalar(known_at, pa.timestamp("us"))
    unmatched = crosswalk.unmatched.filter(pc.less_equal(crosswalk.unmatched["first_seen_at"], moment))
    known = matched | set(_keys(unmatched))
    rates = [_rate(kind, known, matched, revenue_by_record) for kind in sorted({key[0] for key in known})]
    return [*rates, _rate("all", known, matched, revenue_by_record)]


def _keys(table: pa.Table) -> list[RecordKey]:
    columns = [table[name].to_pylist() for name in _KEY]
    return [(kind, system, instance, record) for kind, system, instance, record in zip(*columns, strict=True)]


def _rate(kind: str, known: set[RecordKey], matched: set[RecordKey], revenue: Mapping[RecordKey, Decimal]) -> MatchRate:
    of_kind = {key for key in known if kind in ("all", key[0])}
    hit = of_kind & matched
    nothing = Decimal("0.00")
    return MatchRate(
        kind,
        len(of_kind),
        len(hit),
        sum((revenue.get(key, nothing) for key in of_kind), nothing),
        sum((revenue.get(key, nothing) for key in hit), nothing),
    )
