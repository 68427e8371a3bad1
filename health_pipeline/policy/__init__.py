"""What people tune, as YAML documents with a validated model.

In: a folder of YAML. Out: frozen models and each document's hash. Never: data, decisions about an account.
"""
