"""Where the channel listens on a Spark with executors, and whether it may."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sparktrials.errors import InvalidArgument

__all__ = ["CHANNEL_PORT", "Place", "place_to_listen"]

logger = logging.getLogger("sparktrials.spark")

#: Spark setting with the port that the channel listens on, or one of the 16 after it where that is
#: taken, for firewalls; 0 or none: any.
CHANNEL_PORT = "spark.sparktrials.channel.port"
_LARGEST_PORT = 65_535
_LOOPBACK = "127.0.0.1"
#: Spark settings that have its own connections encrypted; the channel's never are.
_ENCRYPTING = (
    "spark.network.crypto.enabled",
    "spark.authenticate.enableSaslEncryption",
    "spark.ssl.rpc.enabled",
)

#: Address to bind, name for executors, port (0: any).
Place = tuple[str, str, int]


def place_to_listen(
    setting: Callable[[str, str], str], *, local: bool, in_clear: bool
) -> Place | None:
    """Return where the channel listens: where Spark's own driver does.

    Parameters
    ----------
    setting
        Returns a Spark setting, given its name and its default.
    local
        Whether tasks run in this process's machine only: then nobody else can connect.
    in_clear
        Whether to listen even where Spark's own connections are encrypted.

    Returns
    -------
    Place or None
        None where messages would go out in clear though Spark was told to encrypt.

    Raises
    ------
    InvalidArgument
        If `CHANNEL_PORT` is no port.
    """
    port = _port(setting(CHANNEL_PORT, "0"))
    if local:
        return _LOOPBACK, _LOOPBACK, port
    encrypting = [name for name in _ENCRYPTING if setting(name, "false").lower() == "true"]
    if encrypting and not in_clear:
        logger.info(
            "%s is set and the channel to executors is not encrypted, so trials are pushed by "
            "Spark; SparkTrials(channel=True) uses the channel nevertheless",
            encrypting[0],
        )
        return None
    name = setting("spark.driver.host", _LOOPBACK) or _LOOPBACK
    return setting("spark.driver.bindAddress", name) or name, name, port


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= _LARGEST_PORT:
        msg = f"{CHANNEL_PORT} must be a port, or 0 for any free one, got {text!r}"
        raise InvalidArgument(msg)
    return port
