"""What a text says, as rows (phrase, span, language, rule version).

In: landed texts, the policy's phrase rules. Out: rows landed like a source (kind `text`). Never: a word of a
text, in a row or a log.
"""
