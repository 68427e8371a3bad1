{{ staged('text_reading', source('landing', 'text_reading'), source('landing', 'source_load')) }}
