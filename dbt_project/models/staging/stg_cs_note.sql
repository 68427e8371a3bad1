{{ staged('cs_note', source('landing', 'cs_note'), source('landing', 'source_load')) }}
