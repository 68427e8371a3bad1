"""`health-pipeline doctor`: looks at one installation and says what is wrong, what that means and what to do.

In: facts, gathered once. Out: findings. Never: a repair, a write, a network. A new check is a pure function over facts
and a line in `diagnosis.py`.
"""
