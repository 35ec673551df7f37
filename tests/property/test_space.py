from hypothesis import given, settings, strategies as st
from tests.property.strategies import *
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a(data):
    s = data.draw(spaces())
    h = data.draw(histories(s))
    for p in data.draw(points(s, n=3)): s.build(p)
