"""Stands in for Hyperopt where Python looks for it: makes the name mean this package."""

from sparktrials.compat.alias import install

install(replace=True)
