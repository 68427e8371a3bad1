"""Drafts a mapping from a folder of files: what each file is, column by column, with what was seen and what is unsure.

In: files. Out: the text of a mapping. Never: a load, a network, a guess that its comments do not own up to.
"""
