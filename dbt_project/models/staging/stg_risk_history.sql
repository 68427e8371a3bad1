{{ staged('risk_history', source('landing', 'risk_history'), source('landing', 'source_load')) }}
