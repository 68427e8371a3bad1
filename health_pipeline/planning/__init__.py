"""The action plan, review tasks, capacity.

In: scores, playbooks, capacity. Out: proposals and tasks for people. Never: an order to contact a customer.
"""
