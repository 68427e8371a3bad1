-- A change of a score whose five parts do not add up to it; or that has some parts and a reason for having none.
with parts as (
    select
        account_id, week, score_change, not_split_reason,
        change_from_code + change_from_policy + change_from_scorecard + change_from_coverage + change_from_data as total,
        coalesce(change_from_code, change_from_policy, change_from_scorecard, change_from_coverage, change_from_data) as any_part
    from score_changes_weekly
    where week in (select week from run_weeks)
)
select account_id, week
from parts
where (score_change is not null and not_split_reason is null and (total is null or abs(total - score_change) > $tolerance))
    or (any_part is not null and (not_split_reason is not null or score_change is null))
order by week, account_id
