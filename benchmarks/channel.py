"""What the channel to executors costs, beside what else could carry its messages.

Run with::

    python benchmarks/channel.py [--rounds 5]

Each way has an echo server in a process of its own; the ways take turns, and medians are printed
with their ratio to plain TCP sockets, the floor. Only the channel authenticates, bounds what it
takes and needs no certificate; ``multiprocessing.connection`` unpickles what it gets. TLS has a
self-signed certificate made by the ``openssl`` program.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import hmac
import http.client
import http.server
import multiprocessing
import multiprocessing.connection
import os
import queue
import socket
import ssl
import statistics
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparktrials.dispatch.channel.client import connect
from sparktrials.dispatch.channel.events import Message
from sparktrials.dispatch.channel.server import ChannelServer

if TYPE_CHECKING:
    from sparktrials.dispatch.channel.handshake import Address

SMALL = b'{"kind":"outcomes","outcomes":[{"id":7,"attempt":1,"state":"ok","loss":0.25}]}'
LARGE = bytes(32 * 2**20)
HEADER = {"kind": "outcomes", "outcomes": [{"id": 7, "attempt": 1, "state": "ok", "loss": 0.25}]}
KEY = b"k" * 32
_SIZE = struct.Struct("!I")


def read(sock: Any, n: int) -> bytes:
    data = bytearray(n)
    view = memoryview(data)
    while view:
        got = sock.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return bytes(data)


def say(sock: Any, data: bytes) -> None:
    sock.sendall(_SIZE.pack(len(data)) + (data if data is SMALL else b""))
    if data is not SMALL:  # not copied
        sock.sendall(data)


def hear(sock: Any) -> bytes:
    return read(sock, _SIZE.unpack(read(sock, 4))[0])


# --------------------------------------------------------------------------- servers


def serve_channel(told: Any, _: str) -> None:
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    server = ChannelServer("127.0.0.1", deliver=inbox.put)
    told.send(server.address)
    while True:
        event = inbox.get()
        if isinstance(event, Message):
            server.send(event.peer, event.header, event.blobs)


def serve_multiprocessing(told: Any, _: str) -> None:
    listener = multiprocessing.connection.Listener(("127.0.0.1", 0), authkey=KEY, backlog=64)
    told.send(listener.address[1])

    def echo(peer: Any) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                peer.send(peer.recv())

    while True:
        threading.Thread(target=echo, args=(listener.accept(),), daemon=True).start()


def serve_sockets(told: Any, certificate: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    told.send(listener.getsockname()[1])
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def echo(sock: Any) -> None:
        with contextlib.suppress(EOFError, OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = context.wrap_socket(sock, server_side=True) if context else sock
            while True:
                data = hear(sock)
                say(sock, SMALL if data == SMALL else data)

    while True:
        threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()


def serve_http(told: Any, _: str) -> None:
    class Echo(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    told.send(server.server_address[1])
    server.serve_forever()


# --------------------------------------------------------------------------- clients


@contextlib.contextmanager
def channel(address: Address) -> Iterator[Callable[[bytes], Any]]:
    with connect(address, {"lease": 0}) as client:

        def exchange(data: bytes) -> None:
            # The small message as its header, the large one as its blob: as outcomes travel.
            client.send(*((HEADER, ()) if data is SMALL else ({}, (data,))))
            client.receive()

        yield exchange


@contextlib.contextmanager
def multiprocessing_client(port: int) -> Iterator[Callable[[bytes], Any]]:
    with multiprocessing.connection.Client(("127.0.0.1", port), authkey=KEY) as client:

        def exchange(data: bytes) -> None:
            client.send(HEADER if data is SMALL else data)
            client.recv()

        yield exchange


@contextlib.contextmanager
def plain(port: int) -> Iterator[Callable[[bytes], Any]]:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield lambda data: (say(sock, data), hear(sock))


@contextlib.contextmanager
def tls(port: int) -> Iterator[Callable[[bytes], Any]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(raw) as sock:
            yield lambda data: (say(sock, data), hear(sock))


@contextlib.contextmanager
def http_client(port: int) -> Iterator[Callable[[bytes], Any]]:
    client = http.client.HTTPConnection("127.0.0.1", port)
    client.connect()
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange(data: bytes) -> None:
        client.request("POST", "/", data)
        client.getresponse().read()

    yield exchange
    client.close()


WAYS: dict[str, tuple[Any, Any]] = {
    "plain TCP": (serve_sockets, plain),
    "channel": (serve_channel, channel),
    "multiprocessing": (serve_multiprocessing, multiprocessing_client),
    "TLS": (serve_sockets, tls),
    "HTTP": (serve_http, http_client),
}


def certificate(folder: str) -> str:
    path = Path(folder, "both.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", path, "-out", path.with_suffix(".crt"), "-subj", "/CN=driver",
         "-days", "1"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return str(path)


def measure(client: Any, where: Any) -> tuple[float, float, float]:
    """Return seconds to connect and exchange once, for a small exchange, and MB/s one way."""
    start = time.perf_counter()
    for _ in range(20):
        with client(where) as exchange:
            exchange(SMALL)
    opening = (time.perf_counter() - start) / 20
    with client(where) as exchange:
        times = []
        for _ in range(300):
            start = time.perf_counter()
            exchange(SMALL)
            times.append(time.perf_counter() - start)
        start = time.perf_counter()
        exchange(LARGE)
        rate = 2 * len(LARGE) / 1e6 / (time.perf_counter() - start)
    return opening, statistics.median(times), rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    spawn = multiprocessing.get_context("spawn")
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        pem = certificate(folder)
        where, processes = {}, []
        for name, (serve, _) in WAYS.items():
            ours, theirs = spawn.Pipe()
            arguments = (theirs, pem if name == "TLS" else "")
            processes.append(spawn.Process(target=serve, args=arguments, daemon=True))
            processes[-1].start()
            where[name] = ours.recv()
        for _ in range(rounds):
            for name, (_, client) in WAYS.items():
                found[name].append(measure(client, where[name]))
        for process in processes:
            process.kill()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, median of {rounds} rounds")
    print("| | connect and one exchange, ms | small exchange, µs | 32 MiB, MB/s |")
    print("|---|---|---|---|")
    medians = {
        k: [statistics.median(column) for column in zip(*v, strict=True)] for k, v in found.items()
    }
    floor = medians["plain TCP"]
    for name, (opening, small, rate) in medians.items():
        print(
            f"| {name} | {opening * 1e3:.2f} ({opening / floor[0]:.1f}x) | {small * 1e6:.0f} "
            f"({small / floor[1]:.1f}x) | {rate:.0f} ({rate / floor[2]:.2f}x) |"
        )
    times = []
    for _ in range(20):
        start = time.perf_counter()
        hmac.digest(KEY, LARGE, hashlib.sha256)
        times.append((time.perf_counter() - start) / (len(LARGE) / 1e6))
    print(f"HMAC-SHA256: {statistics.median(times) * 1e3:.2f} ms per MB", end="; ")
    start = time.perf_counter()
    for _ in range(10_000):
        hmac.digest(KEY, SMALL, hashlib.sha256)
    print(f"{(time.perf_counter() - start) / 10_000 * 1e6:.1f} µs for a small message")


if __name__ == "__main__":
    main()
