"""Tracking servers: a study is a run, each of its trials a run beneath it.

``observer`` takes the driver's news, ``backlog`` has them written in the background, ``mlflow``
writes them, ``values`` says what of a trial.
"""
