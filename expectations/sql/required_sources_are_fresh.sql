-- Sources the policy requires that are not connected or stale in the run's newest week: they hold the review back.
select source_kind, week
from source_freshness_weekly
where week = (select max(week) from run_weeks) and is_required and (not is_connected or is_stale)
order by source_kind
