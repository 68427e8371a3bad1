{{ staged('source_account', source('landing', 'source_account'), source('landing', 'source_load')) }}
