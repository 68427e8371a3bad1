-- Assignments to a segment by a model that the registry does not have. A quarter too small to cluster has no model.
select assignments.account_id, assignments.quarter
from segment_assignments_quarterly as assignments
left join segment_models as models on models.segment_model_id = assignments.segment_model_id
where
    assignments.quarter in (select quarter from run_quarters)
    and models.segment_model_id is null
    and (assignments.segment_model_id is not null or assignments.segment <> 'unsegmented')
order by assignments.quarter, assignments.account_id
