"""``sparktrials worker URL``: a process that evaluates trials which drivers pin to a store."""
