from __future__ import annotations

import functools
import gc

import pytest
from tests.unit.dispatch.channel.wire import Inbox, channel_threads, open_files, wait_until

from sparktrials.dispatch.channel.server import ChannelServer


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture
def serve(inbox):
    """Return a function that starts a server; afterwards no file and no thread may be left."""
    gc.collect()
    files = open_files()
    started = []

    def start(**limits):
        server = ChannelServer("127.0.0.1", **{"deliver": inbox, **limits})
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()
    started.clear()
    gc.collect()
    wait_until(lambda: not channel_threads())
    wait_until(functools.partial(lambda n: open_files() <= n, files))


@pytest.fixture
def server(serve):
    return serve()
