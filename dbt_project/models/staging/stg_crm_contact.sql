{{ staged('crm_contact', source('landing', 'crm_contact'), source('landing', 'source_load')) }}
