{{ staged('text_phrase', source('landing', 'text_phrase'), source('landing', 'source_load')) }}
