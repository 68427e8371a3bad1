{{ staged('treatment', source('landing', 'treatment'), source('landing', 'source_load')) }}
