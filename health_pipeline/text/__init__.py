"""What a text says, as rows (phrase, span, language, rule version).

In: landed texts. Out: rows landed like a source. Never: a quote outside the restricted store.
Arrives with the customer risk review; empty until then.
"""
