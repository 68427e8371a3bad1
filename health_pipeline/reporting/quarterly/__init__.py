"""The three reports of the quarterly segmentation review: refresh, persona alignment, performance comparison.

In: a published release. Out: three HTML files. Never: a figure of its own; a prediction, or a person's name.
"""
