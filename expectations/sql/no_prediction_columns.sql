-- Columns that hold a prediction about an account. CRM probability and forecast fields do not pass staging.
select table_name, column_name
from duckdb_columns()
where database_name = 'candidate' and regexp_matches(lower(column_name), $words)
order by table_name, column_name
