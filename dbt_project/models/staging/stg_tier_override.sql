{{ staged('tier_override', source('landing', 'tier_override'), source('landing', 'source_load')) }}
