{{ staged('survey_response', source('landing', 'survey_response'), source('landing', 'source_load')) }}
