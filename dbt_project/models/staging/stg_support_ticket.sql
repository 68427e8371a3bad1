{{ staged('support_ticket', source('landing', 'support_ticket'), source('landing', 'source_load')) }}
