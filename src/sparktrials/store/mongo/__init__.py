"""Experiments in MongoDB, through pymongo."""
