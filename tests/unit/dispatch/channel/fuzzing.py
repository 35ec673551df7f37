"""Hostile peers, seeded: what they send, at which stage, and how they leave.

Each attack is one connection. Half of the attackers know nothing; the others know the secret, and
so get as far as a task would. A seed names an attack for good.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
from collections.abc import Sequence

from sparktrials.dispatch.channel import frames
from sparktrials.dispatch.channel.frames import Body, FrameEncoder, Kind, pack
from sparktrials.dispatch.channel.handshake import (
    MAGIC,
    REPLY_BYTES,
    Address,
    ClientHandshake,
    ServerHandshake,
)
from sparktrials.dispatch.messages import encode_outcomes
from sparktrials.errors import ChannelError
from sparktrials.study.trial import Outcome, TrialState
from sparktrials.study.values import TAG

_EDGES = (0, 1, 2, 3, 4, 5, 15, 16, 27, 127, 255, 2**15, 2**16 - 1, 2**20, 2**31, 2**32 - 1)
_KINDS = (*Kind, *[Kind.MESSAGE] * 6)
_WORDS = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94",
    MAGIC,
    MAGIC[:-1] + b"\x00",
    b"\0" * 64,
    b"\xff" * 64,
)
_HEADERS = (
    b"", b"{}", b"[]", b"null", b"7", b'"a"', b"{", b"}", b'{"kind":', b"\xff\xfe", b'{"a":"\xc3"}',
    b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1e999}', b'{"a":1,"a":2}', b'{"a":1}{}',
    b'{"a":' + b"9" * 5000 + b"}", b'{"a":"' + b"x" * 20_000 + b'"}',
    b"[" * 2000, b'{"a":' * 2000, b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}",
    b'{"reason":' + b"[" * 80 + b"]" * 80 + b"}", b'{"kind":{"a":1}}', b'{"kind":["outcomes"]}',
    b'{"lease":[1]}', b'{"lease":0}', b'{"kind":"outcomes","outcomes":[[]]}',
    b'{"kind":"report","id":1,"attempt":1,"reports":[[1,' + b"9" * 400 + b']],"lines":[]}',
)  # fmt: skip
_VALUES = (
    None, True, -1, 0, 0.5, 2**63, 10**400, "", "ok", "x" * 300, [], [1], ["raised"], {}, {"a": 1},
    {TAG: ["float", "nan"]}, {TAG: ["float", "7"]}, {TAG: ["tuple", [1, 2]]}, {TAG: ["tuple"]},
    {TAG: ["dict", [[[1], 2]]]}, {TAG: ["dict", [[1, 2, 3]]]}, {TAG: ["bytes", "####"]},
    {TAG: ["datetime", "yesterday"]}, {TAG: ["date", 7]}, {TAG: ["timedelta", 1e300, 0, 0]},
    {TAG: ["array", "<f8", [2], "AAAAAAAAAAA="]}, {TAG: ["array", "|O", [1], "AAAAAAAAAAA="]},
    {TAG: ["array", "<f8", [-1], ""]}, {TAG: ["array", "<f8", [0, 10**30], ""]},
    {TAG: ["array", "<f8", [1], "AAAAAAAAAAA="]}, {TAG: ["array", "<U999999999", [0], ""]},
    {TAG: ["array", "M8[7ns]", [1], "AAAAAAAAAAA="]}, {TAG: ["scalar", "<m8[Y]", "AAAAAAAAAAA="]},
    {TAG: ["str_", 7]}, {TAG: ["bytes_", "AAAA"]}, {TAG: ["unheard", 1]}, {TAG: 7}, {TAG: []},
    {TAG: [[1]]}, {TAG: [{"a": 1}]}, {TAG: ["tuple", [1]], "more": 1},
)  # fmt: skip


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Return bytes with a few changes, or not."""
    changed = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 5))):
        at = rng.randrange(len(changed) + 1)
        what = rng.randrange(7)
        if what == 0 and changed:
            changed[at % len(changed)] ^= 1 << rng.randrange(8)
        elif what == 1:
            del changed[at:]
        elif what == 2:
            changed[at:at] = rng.randbytes(rng.randrange(1, 40))
        elif what == 3:
            del changed[at : at + rng.randrange(1, 40)]
        elif what == 4:
            changed[at:at] = changed[at : at + rng.randrange(1, 60)]
        elif what == 5:
            changed[at : at + 4] = struct.pack("!I", rng.choice(_EDGES))
        else:
            changed += rng.choice(_WORDS)
    return bytes(changed)


def document(rng: random.Random, depth: int = 2) -> object:
    """Return what JSON may say where a message is awaited."""
    if depth and rng.random() < 0.3:
        inner = [document(rng, depth - 1) for _ in range(rng.randrange(4))]
        return inner if rng.random() < 0.5 else {str(i): x for i, x in enumerate(inner)}
    return rng.choice(_VALUES)


def hostile_outcomes(rng: random.Random) -> tuple[dict[str, object], list[bytes]]:
    """Return a message like that of `encode_outcomes`, with a few things changed."""
    outcomes = [
        Outcome(
            trial_id=rng.randrange(5),
            attempt=1,
            state=TrialState.OK,
            loss=0.5,
            result={"loss": 0.5, "more": [1, 2]} if rng.random() < 0.5 else {"loss": 0.5},
            attachments={"a": b"1"} if rng.random() < 0.3 else {},
            objects={"o": b"2"} if rng.random() < 0.3 else {},
        )
        for _ in range(rng.randrange(1, 4))
    ]
    header, blobs = encode_outcomes(outcomes)
    for _ in range(rng.randrange(4)):
        target = rng.choice(header["outcomes"])
        if rng.random() < 0.15:
            target.pop(rng.choice(list(target)))
        elif rng.random() < 0.1:
            header["outcomes"] = document(rng)
            break
        else:
            target[rng.choice(list(target))] = document(rng)
    blobs = [mutated(rng, blob) if rng.random() < 0.3 else blob for blob in blobs]
    if rng.random() < 0.1:
        blobs = [*blobs[rng.randrange(2) :], rng.randbytes(5)]
    return header, blobs


class Forger:
    """Makes authentic frames, and some that say what no honest encoder would."""

    def __init__(self, rng: random.Random, key: bytes) -> None:
        self._rng = rng
        self._tagger = frames._Tagger(key)

    def honest(self, kind: Kind, header: bytes, blobs: Sequence[bytes] = ()) -> bytes:
        """Return the next frame."""
        sizes = [len(blob) for blob in blobs]
        return self._sealed(kind, len(blobs), len(header), sum(sizes), sizes, header, blobs)

    def any(self) -> bytes:
        """Return the next frame, honest or not."""
        rng = self._rng
        kind = rng.choice(_KINDS)
        blobs = [rng.randbytes(rng.randrange(50)) for _ in range(rng.randrange(3))]
        what = rng.randrange(4)
        if what == 0:
            return self.honest(kind, rng.choice(_HEADERS), blobs)
        if what == 1:
            header, blobs = hostile_outcomes(rng)
            return self.honest(Kind.MESSAGE, json.dumps(header).encode(), blobs)
        if what == 2:
            return self.honest(kind, b'{"lease":0}', blobs)
        header = rng.choice(_HEADERS)
        sizes = [self._or_not(len(blob)) for blob in blobs]
        return self._sealed(
            rng.choice((kind, rng.randrange(256))),
            self._or_not(len(blobs)) % 2**16,
            self._or_not(len(header)),
            self._or_not(sum(sizes)) % 2**32,
            sizes,
            header,
            blobs,
        )

    def _or_not(self, n: int) -> int:
        return n if self._rng.random() < 0.8 else self._rng.choice(_EDGES)

    def _sealed(
        self,
        kind: int,
        n_blobs: int,
        n_header: int,
        n_blob_bytes: int,
        sizes: Sequence[int],
        header: bytes,
        blobs: Sequence[bytes],
    ) -> bytes:
        head = struct.pack("!BHII", kind, n_blobs, n_header, n_blob_bytes)
        frame = head + self._tagger.head(head)
        if header or blobs:
            front = struct.pack(f"!{len(sizes)}I", *sizes) + header
            frame += front + b"".join(blobs) + self._tagger.body((head, front, *blobs))
        self._tagger.advance()
        return frame


def _talk(rng: random.Random, sock: socket.socket, data: bytes) -> None:
    """Send bytes, whole or in pieces, and leave in one of the ways there are."""
    while data:
        n = len(data) if rng.random() < 0.7 else rng.randrange(1, len(data) + 1)
        sock.sendall(data[:n])
        data = data[n:]
    how = rng.randrange(6)
    if how == 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    elif how == 1:
        sock.shutdown(socket.SHUT_WR)
        sock.recv(4096)
    elif how == 2:
        sock.settimeout(0.001)
        sock.recv(4096)


def attack_server(address: Address, seed: int) -> None:
    """Be one hostile client."""
    rng = random.Random(seed)
    with contextlib.suppress(OSError), socket.socket() as sock:
        sock.settimeout(2.0)
        sock.connect((address.host, address.port))
        stage = rng.randrange(8)
        if stage == 0:
            _talk(rng, sock, rng.randbytes(rng.randrange(200)))
            return
        if stage == 1:
            _talk(rng, sock, rng.choice(_WORDS) + rng.randbytes(rng.randrange(50)))
            return
        knows = stage >= 4
        handshake = ClientHandshake(address.secret if knows else rng.randbytes(32))
        if stage == 2:
            _talk(rng, sock, mutated(rng, handshake.first + rng.randbytes(rng.choice((0, 32)))))
            return
        sock.sendall(handshake.first)
        reply = sock.recv(REPLY_BYTES, socket.MSG_WAITALL)
        if not knows:
            _talk(rng, sock, mutated(rng, rng.choice((reply[40:], reply, rng.randbytes(32)))))
            return
        try:
            proof, keys = handshake.answer(reply)
        except ChannelError:  # it was hung up on
            return
        if stage == 4:
            _talk(rng, sock, mutated(rng, proof) + rng.randbytes(rng.randrange(60)))
            return
        sock.sendall(proof)
        _talk(rng, sock, _speech(rng, keys.to_server, Kind.HELLO if stage >= 6 else None))


def attack_client(listener: socket.socket, secret: bytes, seed: int) -> None:
    """Be one hostile driver, for the next client that connects."""
    rng = random.Random(seed)
    with contextlib.suppress(OSError):
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(2.0)
            stage = rng.randrange(6)
            knows = stage >= 3
            if stage == 0:
                _talk(rng, sock, rng.choice((rng.choice(_WORDS), rng.randbytes(90))))
                return
            handshake = ServerHandshake(secret if knows else rng.randbytes(32))
            first = sock.recv(handshake.wanted, socket.MSG_WAITALL)
            reply = handshake.feed(first)
            if stage in {1, 2, 3}:
                _talk(rng, sock, mutated(rng, reply) + rng.randbytes(rng.choice((0, 50))))
                return
            sock.sendall(reply)
            handshake.feed(sock.recv(handshake.wanted, socket.MSG_WAITALL))
            if handshake.keys is not None:
                key = handshake.keys.to_client
                _talk(rng, sock, _speech(rng, key, Kind.WELCOME if stage == 5 else None))


def _speech(rng: random.Random, key: bytes, opening: Kind | None) -> bytes:
    """Return frames: honest ones that were tampered with, or dishonest ones, made with the key."""
    header = rng.choice((b'{"lease":0}', b'{"heartbeat_s":0.02}', b'{"heartbeat_s":1e300}'))
    if rng.random() < 0.5:
        encoder = FrameEncoder(key)
        data = b"" if opening is None else b"".join(encoder.encode(opening, Body(header)))
        rest = [
            b"".join(encoder.encode(rng.choice(_KINDS), pack({"n": n}, [bytes(n)])))
            for n in range(rng.randrange(4))
        ]
        if rng.random() < 0.3:
            rng.shuffle(rest)
        return data + mutated(rng, b"".join(rest))
    forger = Forger(rng, key)
    data = b"" if opening is None else forger.honest(opening, header)
    return data + b"".join(forger.any() for _ in range(rng.randrange(1, 5)))
