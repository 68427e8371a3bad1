-- Connected sources of which too few accounts are known to the crosswalk.
select source_kind, week
from source_freshness_weekly
where week in (select week from run_weeks) and is_connected and match_share < $floor
order by week, source_kind
