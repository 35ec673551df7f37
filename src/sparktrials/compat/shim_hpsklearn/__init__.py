"""Another folder for ``PYTHONPATH``, where Hyperopt-Sklearn is not installed: `hpsklearn`."""
