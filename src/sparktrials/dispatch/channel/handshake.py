"""Both sides prove that they know the run's secret, and get the connection's keys. No I/O here.

::

    client → server   magic, nonce
    server → client   magic, nonce, HMAC(secret, "server" + both nonces)
    client → server   HMAC(secret, "client" + both nonces)

All of fixed size. The server reads no byte beyond the one that it waits for, and none is
interpreted but the magic, until the client's proof holds. The role's name in the proof keeps one
side's from being played back as the other's.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import NoReturn

from sparktrials.errors import ChannelProtocolError

__all__ = ["MAGIC", "SECRET_BYTES", "Address", "ClientHandshake", "Keys", "ServerHandshake"]

#: What a client sends first; its last byte is the protocol's version.
MAGIC = b"sptrial\x01"
SECRET_BYTES = 32
NONCE_BYTES = 32
PROOF_BYTES = 32
FIRST_BYTES = len(MAGIC) + NONCE_BYTES
REPLY_BYTES = FIRST_BYTES + PROOF_BYTES


@dataclass(frozen=True, slots=True)
class Address:
    """Where the driver listens, and the secret that it asks for: all that a task needs.

    Pickles, so that it can travel inside Spark's task data; `repr` does not show the secret.
    """

    host: str
    port: int
    secret: bytes = field(repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one connection, by direction."""

    to_server: bytes = field(repr=False)
    to_client: bytes = field(repr=False)


def _mac(secret: bytes, role: bytes, client_nonce: bytes, server_nonce: bytes) -> bytes:
    return hmac.digest(
        secret, b"sparktrials channel 1: " + role + client_nonce + server_nonce, "sha256"
    )


def _keys(secret: bytes, client_nonce: bytes, server_nonce: bytes) -> Keys:
    return Keys(
        to_server=_mac(secret, b"key to server", client_nonce, server_nonce),
        to_client=_mac(secret, b"key to client", client_nonce, server_nonce),
    )


def _refuse(why: str) -> NoReturn:
    raise ChannelProtocolError(why)


class ServerHandshake:
    """The server's side of one handshake.

    `wanted` is how many bytes may be read next, 0 when all is done and `keys` are there.
    """

    __slots__ = ("_buffer", "_client_nonce", "_nonce", "_secret", "keys", "wanted")

    def __init__(self, secret: bytes, nonce: bytes | None = None) -> None:
        self._secret = secret
        self._nonce = secrets.token_bytes(NONCE_BYTES) if nonce is None else nonce
        self._buffer = b""
        self._client_nonce = b""
        self.keys: Keys | None = None
        self.wanted = FIRST_BYTES

    def feed(self, data: bytes) -> bytes:
        """Take at most `wanted` bytes in; return what to send.

        Raises
        ------
        ChannelProtocolError
            If the other side is no client of this run.
        """
        if len(data) > self.wanted:
            _refuse("more bytes than the handshake has")
        self._buffer += data
        self.wanted -= len(data)
        if not self._client_nonce:
            start = self._buffer[: len(MAGIC)]
            if not MAGIC.startswith(start):
                _refuse("not a client of this protocol and version")
            if self.wanted:
                return b""
            self._client_nonce, self._buffer = self._buffer[len(MAGIC) :], b""
            self.wanted = PROOF_BYTES
            return MAGIC + self._nonce + self._proof(b"server")
        if not self.wanted:
            if not hmac.compare_digest(self._buffer, self._proof(b"client")):
                _refuse("a client that does not know the secret")
            self.keys = _keys(self._secret, self._client_nonce, self._nonce)
        return b""

    def _proof(self, role: bytes) -> bytes:
        return _mac(self._secret, role, self._client_nonce, self._nonce)


class ClientHandshake:
    """The client's side: `first` goes out, `REPLY_BYTES` come in, `answer` says what follows."""

    __slots__ = ("_nonce", "_secret", "first")

    def __init__(self, secret: bytes, nonce: bytes | None = None) -> None:
        self._secret = secret
        self._nonce = secrets.token_bytes(NONCE_BYTES) if nonce is None else nonce
        self.first = MAGIC + self._nonce

    def answer(self, reply: bytes) -> tuple[bytes, Keys]:
        """Return the client's proof and the keys.

        Raises
        ------
        ChannelProtocolError
            If the other side is not this run's driver.
        """
        magic, nonce = reply[: len(MAGIC)], reply[len(MAGIC) : FIRST_BYTES]
        if len(reply) != REPLY_BYTES or magic != MAGIC:
            _refuse("it does not speak this protocol and version")
        expected = _mac(self._secret, b"server", self._nonce, nonce)
        if not hmac.compare_digest(reply[FIRST_BYTES:], expected):
            _refuse("it does not know this run's secret")
        proof = _mac(self._secret, b"client", self._nonce, nonce)
        return proof, _keys(self._secret, self._nonce, nonce)
