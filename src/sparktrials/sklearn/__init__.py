"""Whole scikit-learn pipelines: preprocessing, model and hyperparameters in one search."""
