-- Pieces of evidence that happened at as_of_at or later, were known after known_at, or whose age does not follow.
select evidence_id, week
from risk_evidence
where week in (select week from run_weeks)
    and (
        observed_at >= as_of_at
        or available_at > known_at
        or age_days is distinct from cast(floor(date_diff('microsecond', observed_at, as_of_at) / 86400000000.0) as bigint)
    )
order by week, evidence_id
