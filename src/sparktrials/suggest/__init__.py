"""What to try next: arrays in, points out. No I/O, no clock, no state but caches of the history."""
