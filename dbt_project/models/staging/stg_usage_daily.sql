{{ staged('usage_daily', source('landing', 'usage_daily'), source('landing', 'source_load')) }}
