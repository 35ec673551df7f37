"""What is known, and what follows: trials, history, the loop, and the protocols of its neighbours.

Only ``runner`` touches a clock, a dispatcher and a store, and all three are injected.
"""
