{{ staged('pm_project', source('landing', 'pm_project'), source('landing', 'source_load')) }}
