{{ staged('risk', source('landing', 'risk'), source('landing', 'source_load')) }}
