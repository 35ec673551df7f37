"""Importing this makes ``import hyperopt`` mean this package: for executors of a driver with it."""

from __future__ import annotations

from sparktrials.compat.alias import install

install(replace=True)
