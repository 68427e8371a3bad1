{{ staged('billing_invoice', source('landing', 'billing_invoice'), source('landing', 'source_load')) }}
