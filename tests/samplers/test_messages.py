import contextlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.reasons import Reason
from samplers.messages import Batch, Fatal, FromChild, Progress, Ready, Result, decode, encode
from tests.fuzzing import fuzzed


@pytest.mark.parametrize(
    "message",
    [
        Ready(device="cuda:0", sandbox=["seccomp"]),
        Result(status="sample-failed", detail="an assertion of a kernel", device_lost=True),
        Progress(tries=5),
        Batch(rows=[{"index": 3, "prompt": "two\nlines"}]),
        Result(status="load-failed", detail="it lacks a tensor", seconds={"load": 0.5}),
        Result(status="incompatible", detail="its call needs image", reason=Reason.NEEDS_OTHER_INPUT),
        Fatal(detail="no checker"),
    ],
)
def test_messages_of_the_child_are_read_back(message: FromChild) -> None:
    assert decode(encode(message)) == message


@fuzzed(100)
@given(st.one_of(st.binary(), st.recursive(st.none() | st.text() | st.integers(), st.lists).map(repr).map(str.encode)))
def test_anything_else_is_refused(text: bytes) -> None:
    with contextlib.suppress(ValueError):
        raise AssertionError(decode(text))


@pytest.mark.parametrize(
    "text",
    [
        b'["Result", {"status": "whatever"}]',
        b'["Result", {"status": "done", "seconds": {"load": "long"}}]',
        b'["Result", {"status": "incompatible", "reason": "whatever"}]',
        b'["Progress", {"tries": "five"}]',
        b'["Result", {"status": "crashed"}]',
        b'["Result", {"status": "done", "detail": ["a", "list"]}]',
        b'["Result", {"status": "done", "seconds": {"another": 1.0}}]',
        b'["Result", {"status": "done", "seconds": {"load": Infinity}}]',
        b'["Batch", {"rows": [1, 2]}]',
        b'["Fatal", {"detail": {"a": 1}}]',
        b"[" * 900_000,
        b'["Start", {}]',
    ],
)
def test_a_message_with_wrong_values_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text)


@pytest.mark.attack
def test_text_of_the_child_is_printable() -> None:
    message = decode(b'["Result", {"status": "load-failed", "detail": "\\u001b[2J \\ud800 name"}]')
    assert isinstance(message, Result)
    assert message.detail == "\N{REPLACEMENT CHARACTER}[2J \N{REPLACEMENT CHARACTER} name"


@pytest.mark.attack
def test_a_pickle_from_the_child_is_not_opened() -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return (exec, ("raise SystemExit('the payload ran')",))

    with pytest.raises(ValueError, match=r"."):
        decode(pickle.dumps(Payload()))
