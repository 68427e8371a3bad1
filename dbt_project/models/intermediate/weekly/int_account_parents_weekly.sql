with records as (

    {{ known_records(ref('int_week_spine'), ref('int_account_links_weekly'), ref('int_source_account_versions')) }}

),

ranked_parents as (

    select
        records.week,
        records.account_id,
        parents.account_id as parent_account_id,
        row_number() over (
            partition by records.week, records.account_id
            order by
                case records.source_kind when 'crm' then 1 when 'billing' then 2 when 'cs' then 3 else 4 end asc nulls last,
                records.valid_from desc nulls last,
                records.source_system asc nulls last,
                records.source_instance asc nulls last,
                records.source_account_id asc nulls last
        ) as preference
    from records
    inner join {{ ref('int_account_links_weekly') }} as parents
        on
            records.week = parents.week
            and records.source_kind = parents.source_kind
            and records.source_system = parents.source_system
            and records.source_instance = parents.source_instance
            and records.parent_source_account_id = parents.source_account_id
    where parents.account_id <> records.account_id

),

stated as (

    select
        week,
        account_id,
        parent_account_id
    from ranked_parents
    where preference = 1

),

{{ ancestors('stated', 'above') }},

-- Who stands above itself is in a circle, and everybody above it is in the same one.
circles as (

    select
        week,
        account_id,
        min(ancestor_account_id) as first_account_id
    from above
    group by week, account_id
    having {{ any_true('ancestor_account_id = account_id') }}

)

select
    stated.week,
    stated.account_id,
    -- the circle is opened above its first account id: any rule would do that does not depend on the order of the rows
    case
        when circles.account_id is null or circles.first_account_id <> stated.account_id then stated.parent_account_id
    end as parent_account_id,
    circles.account_id is not null as is_in_parent_circle
from stated
left join circles on stated.week = circles.week and stated.account_id = circles.account_id
