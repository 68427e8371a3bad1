{{ staged('pm_milestone', source('landing', 'pm_milestone'), source('landing', 'source_load')) }}
