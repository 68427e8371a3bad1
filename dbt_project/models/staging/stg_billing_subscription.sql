{{ staged('billing_subscription', source('landing', 'billing_subscription'), source('landing', 'source_load')) }}
