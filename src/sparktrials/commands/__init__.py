"""The commands, by what they do; `sparktrials.cli` is their table."""
