"""Statistics of segments as pure functions: for the quarterly review, and for a notebook on any data frame or array.

Each takes arrays or frames and returns a frozen dataclass that holds the estimate, its interval, the numbers it
rests on and the settings it was made with. None reads a policy, a table or a clock.
"""
