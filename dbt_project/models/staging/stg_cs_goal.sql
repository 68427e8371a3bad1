{{ staged('cs_goal', source('landing', 'cs_goal'), source('landing', 'source_load')) }}
