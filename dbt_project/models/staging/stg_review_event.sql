{{ staged('review_event', source('landing', 'review_event'), source('landing', 'source_load')) }}
