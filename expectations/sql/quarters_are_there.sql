-- Quarters of the run without a single assignment.
select quarter
from run_quarters
where quarter not in (select quarter from segment_assignments_quarterly)
order by quarter
