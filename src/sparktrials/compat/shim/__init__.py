"""A folder to put on ``PYTHONPATH``: with it, ``import hyperopt`` means this package in any Python.

``python -m sparktrials.compat`` does so for the processes that its program starts.
"""
