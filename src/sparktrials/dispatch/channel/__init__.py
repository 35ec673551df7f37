"""Messages between tasks that run (``client``) and the driver (``server``), over TCP.

``frames`` and ``handshake`` are functions on bytes, for both sides. Executors import ``client``:
numpy and the standard library only, and nothing happens at import.
"""
