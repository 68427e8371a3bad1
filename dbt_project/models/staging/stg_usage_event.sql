{{ staged('usage_event', source('landing', 'usage_event'), source('landing', 'source_load')) }}
