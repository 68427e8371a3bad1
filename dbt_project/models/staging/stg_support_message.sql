{{ staged('support_message', source('landing', 'support_message'), source('landing', 'source_load')) }}
