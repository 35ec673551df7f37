"""Experiments in PostgreSQL, MySQL or MariaDB, through SQLAlchemy."""
