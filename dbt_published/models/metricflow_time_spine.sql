{{ config(materialized='table') }}
select cast(range as date) as date_day
from range(timestamp '2015-01-01', timestamp '2041-01-01', interval 1 day)
