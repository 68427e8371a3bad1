{{ staged('billing_payment', source('landing', 'billing_payment'), source('landing', 'source_load')) }}
