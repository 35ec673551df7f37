from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from sparktrials.dispatch.channel import frames
from sparktrials.dispatch.channel.frames import (
    HEAD_BYTES,
    HEADER_LIMIT,
    MAX_BLOBS,
    Body,
    FrameDecoder,
    FrameEncoder,
    Kind,
    pack,
)
from sparktrials.errors import ChannelProtocolError, InvalidArgument, InvalidArgumentType

QUICK = settings(
    max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
KEY = b"k" * 32
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
plain = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
    ),
    max_leaves=10,
)
headers = st.dictionaries(st.text(max_size=8), plain, max_size=4)
blob_lists = st.lists(st.binary(max_size=300), max_size=5)
messages = st.tuples(st.sampled_from(Kind), headers, blob_lists)


def encoded(*contents):
    encoder = FrameEncoder(KEY)
    return b"".join(
        b"".join(encoder.encode(kind, pack(header, blobs))) for kind, header, blobs in contents
    )


def decoded(data, key=KEY):
    return list(FrameDecoder(key).feed(data))


@QUICK
@given(st.lists(messages, max_size=5), st.data())
def test_round_trip_in_pieces_of_any_size(contents, data):
    stream = encoded(*contents)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    decoder = FrameDecoder(KEY)
    got = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += decoder.feed(stream[start:end])
    assert [(f.kind, f.header, list(f.blobs)) for f in got] == contents
    assert not decoder.in_frame
    assert decoder.announced == 0


@QUICK
@given(st.lists(messages, min_size=1, max_size=3), st.data())
def test_no_changed_bit_gets_through(contents, data):
    stream = bytearray(encoded(*contents))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= 1 << data.draw(st.integers(0, 7))
    decoder = FrameDecoder(KEY)
    got = []
    with pytest.raises(ChannelProtocolError, match="not authentic"):
        got.extend(decoder.feed(bytes(stream)))
    # What came before is whole, and nothing follows.
    assert [(f.kind, f.header, list(f.blobs)) for f in got] == contents[: len(got)]
    assert len(got) < len(contents)
    with pytest.raises(ChannelProtocolError, match="not authentic"):
        list(decoder.feed(b""))


@QUICK
@given(st.binary(max_size=200))
def test_noise_is_refused_at_the_first_head(noise):
    decoder = FrameDecoder(KEY)
    if len(noise) < HEAD_BYTES:
        assert list(decoder.feed(noise)) == []
        return
    with pytest.raises(ChannelProtocolError, match="head is not authentic"):
        list(decoder.feed(noise))
    assert not decoder.in_frame  # and nothing of it is kept


@QUICK
@given(messages, messages)
def test_another_key_repeats_gaps_and_another_order_are_refused(first, second):
    encoder = FrameEncoder(KEY)
    one, two = (b"".join(encoder.encode(k, pack(h, b))) for k, h, b in (first, second))
    for stream, good in ((one + one, 1), (two, 0), (two + one, 0)):
        got = []
        with pytest.raises(ChannelProtocolError):
            got.extend(FrameDecoder(KEY).feed(stream))
        assert len(got) == good
    with pytest.raises(ChannelProtocolError):
        decoded(one, key=b"K" * 32)


@QUICK
@given(messages, messages)
def test_a_body_cannot_be_put_behind_another_head(first, second):
    one, two = encoded(first), encoded(second)
    if len(one) == HEAD_BYTES or one == two:
        return
    with pytest.raises(ChannelProtocolError):
        decoded(two[:HEAD_BYTES] + one[HEAD_BYTES:] + bytes(len(two)))


@QUICK
@given(messages)
def test_a_cut_frame_is_waited_for(content):
    stream = encoded(content)
    for end in {1, HEAD_BYTES - 1, HEAD_BYTES, len(stream) - 1} - {len(stream)}:
        decoder = FrameDecoder(KEY)
        assert list(decoder.feed(stream[:end])) == []
        assert decoder.in_frame


def test_a_frame_that_is_sealed_again_is_the_same_one():
    encoder = FrameEncoder(KEY)
    encoder.seal(Kind.MESSAGE, pack({"a": 1}))  # and not sent
    pieces = encoder.encode(Kind.MESSAGE, pack({"a": 2}))
    assert decoded(b"".join(pieces))[0].header == {"a": 2}


def test_large_blobs_are_not_copied():
    blob = bytes(2**17)
    pieces = FrameEncoder(KEY).encode(Kind.MESSAGE, pack({"a": 1}, (blob, b"x")))
    assert any(piece is blob for piece in pieces)
    (frame,) = decoded(b"".join(pieces))
    assert frame.blobs == (blob, b"x")


# --------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("header", "blobs", "error", "text"),
    [
        ([], (), InvalidArgumentType, "header must be a dict, got list"),
        ({"a": object()}, (), InvalidArgumentType, "plain values only"),
        ({"a": 10**5000}, (), InvalidArgumentType, "plain values only"),
        ({"a": "x" * HEADER_LIMIT}, (), InvalidArgument, "send large things as blobs"),
        ({}, [b""] * (MAX_BLOBS + 1), InvalidArgument, "4,097 blobs"),
        ({}, ["text"], InvalidArgumentType, "blobs must be bytes, got str"),
        ({}, [bytearray(3)], InvalidArgumentType, "blobs must be bytes"),
    ],
)
def test_what_may_not_be_sent(header, blobs, error, text):
    with pytest.raises(error, match=text):
        pack(header, blobs)


def test_a_header_that_contains_itself():
    header = {}
    header["again"] = header
    with pytest.raises(InvalidArgumentType, match="plain values only"):
        pack(header)


def test_too_many_bytes_of_blobs(monkeypatch):
    monkeypatch.setattr(frames, "BLOBS_LIMIT", 10)
    assert pack({}, [b"12345"] * 2).size == 10
    with pytest.raises(InvalidArgument, match="11 bytes, the limit is 10"):
        pack({}, [b"12345", b"123456"])


def sealed(raw_head, content=b"", *, body_tag=True):
    """Return a frame that says what a peer with the key might lie about."""
    tagger = frames._Tagger(KEY)
    frame = raw_head + tagger.head(raw_head) + content
    return frame + tagger.body((raw_head, content)) if body_tag else frame


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ((3, 0, HEADER_LIMIT + 1, 0), "the limits are"),
        ((3, MAX_BLOBS + 1, 0, 0), "the limits are"),
        ((3, 1, 0, frames.BLOBS_LIMIT + 1), "the limits are"),
        ((3, 65_535, 2**32 - 1, 2**32 - 1), "the limits are"),
        ((0, 0, 0, 0), "unknown kind of frame: 0"),
        ((6, 0, 0, 0), "unknown kind of frame: 6"),
        ((3, 0, 0, 5), "bytes of no blob"),
    ],
)
def test_an_authentic_head_that_breaks_a_limit_makes_no_room(head, text):
    decoder = FrameDecoder(KEY)
    with pytest.raises(ChannelProtocolError, match=text):
        list(decoder.feed(sealed(struct.pack("!BHII", *head), body_tag=False)))
    assert not decoder.in_frame


@pytest.mark.parametrize("sizes", [(3, 1), (2**32 - 1, 2**32 - 1), (0, 0)])
def test_sizes_of_blobs_have_to_add_up(sizes):
    head = struct.pack("!BHII", 3, 2, 0, 5)
    content = struct.pack("!2I", *sizes) + b"12345"
    with pytest.raises(ChannelProtocolError, match="do not add up"):
        decoded(sealed(head, content))


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"nonsense",
        b"[1]",
        b"7",
        b'"text"',
        b"null",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"\xff\xfe",
        b'{"a": "\xc3"}',
        b"[" * 500_000,
        b'{"a":' * 100_000,
        b'{"a":' + b"[" * 400_000 + b"]" * 400_000 + b"}",
        b'{"a":1}{"b":2}',
        b'{"a":{"__sparktrials__":["pickle","gASVAAAA"]}}',
        b'{"a":{"__sparktrials__":["array","|O",[1],"AAAAAAAAAAA="]}}',
        b'{"a":{"__sparktrials__":["array","<f8",[1000000000000],""]}}',
        b'{"a":{"__sparktrials__":["array","<f8",[-1],"AAAAAAAAAAA="]}}',
        b'{"a":{"__sparktrials__":"tuple"}}',
        b'{"a":{"__sparktrials__":["dict",[[[1],2]]]}}',
    ],
    ids=lambda header: repr(header[:30]),
)
def test_a_header_that_is_no_document_of_ours(header):
    head = struct.pack("!BHII", 3, 0, len(header), 0)
    with pytest.raises(ChannelProtocolError, match="a header that is"):
        decoded(sealed(head, header))


def test_of_two_values_of_one_name_the_last_counts():
    header = b'{"a":1,"a":2}'
    (frame,) = decoded(sealed(struct.pack("!BHII", 3, 0, len(header), 0), header))
    assert frame.header == {"a": 2}


def test_nan_and_arrays_go_through():
    (frame,) = decoded(encoded((Kind.MESSAGE, {"nan": np.nan, "a": np.arange(3)}, ())))
    assert np.isnan(frame.header["nan"])
    assert frame.header["a"].tolist() == [0, 1, 2]


def test_nothing_shows_a_key():
    shown = repr([FrameEncoder(KEY), FrameDecoder(KEY), Body(b"{}", (b"x",))])
    assert "kkkk" not in shown
