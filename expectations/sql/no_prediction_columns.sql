-- Columns that hold a prediction about an account. CRM probability and forecast fields do not pass staging.
select table_name, column_name
from duckdb_columns()
where database_name = 'candidate' and regexp_matches(lower(column_name), $words)
    -- how a person rates a risk, from 1 to 5, 0 for not assessed: a register's word, not a model's
    and not (table_name = 'risk_packets' and column_name = 'likelihood')
order by table_name, column_name
