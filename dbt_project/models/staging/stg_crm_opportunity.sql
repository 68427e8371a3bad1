{{ staged('crm_opportunity', source('landing', 'crm_opportunity'), source('landing', 'source_load')) }}
