-- Segments whose number of accounts is not the number of assignments.
select performance.quarter, performance.segment
from segment_performance_quarterly as performance
left join (
    select quarter, segment, count(*) as accounts from segment_assignments_quarterly group by quarter, segment
) as counted on counted.quarter = performance.quarter and counted.segment = performance.segment
where performance.quarter in (select quarter from run_quarters)
    and performance.accounts <> coalesce(counted.accounts, 0)
order by performance.quarter, performance.segment
