"""Does the score mean anything? Published scores held against what happened in the 13 weeks after.

In: published scores, features and outcomes as data frames. Out: figures with intervals, and a challenger's weights.
Never: a score recomputed with what became known later, a figure on too few events, a probability about an account.
"""
