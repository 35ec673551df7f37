"""Hyperparameter optimization for Apache Spark."""
