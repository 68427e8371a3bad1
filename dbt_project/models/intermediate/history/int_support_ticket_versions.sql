{{ config(unique_key=['source_kind', 'source_system', 'source_instance', 'ticket_id']) }}
{{ record_versions('support_ticket', ref('stg_support_ticket'), source('landing', 'source_load')) }}
