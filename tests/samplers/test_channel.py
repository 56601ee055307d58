"""Messages over a real pipe, from an end that may do anything."""

import multiprocessing
import os
import struct
import threading
import time

import pytest

from samplers.channel import Channel


@pytest.fixture
def ends() -> tuple[Channel, Channel]:
    one, other = multiprocessing.Pipe(duplex=True)
    return Channel(one), Channel(other)


def test_messages_arrive_whole_and_in_order_however_large(ends: tuple[Channel, Channel]) -> None:
    messages = [b"", b"one", os.urandom(3_000_000), b"\0" * 100]
    sending = threading.Thread(target=ends[0].send, args=messages)
    sending.start()
    assert [ends[1].receive(3_000_000, 20) for _ in messages] == messages
    sending.join()


def test_threads_may_send_at_the_same_time(ends: tuple[Channel, Channel]) -> None:
    messages = [bytes([number]) * 200_000 for number in range(8)]
    threads = [threading.Thread(target=ends[0].send, args=(message,)) for message in messages]
    for thread in threads:
        thread.start()
    assert sorted(ends[1].receive(200_000, 20) for _ in messages) == messages
    for thread in threads:
        thread.join()


def test_a_closed_end_is_noticed(ends: tuple[Channel, Channel]) -> None:
    ends[0].send(b"the last")
    ends[0].close()
    assert ends[1].receive(100, 20) == b"the last"
    with pytest.raises(EOFError):
        ends[1].receive(100, 20)


@pytest.mark.attack
@pytest.mark.parametrize("sent", [b"", b"\0\0", struct.pack(">Q", 50), struct.pack(">Q", 50) + b"half of it"])
def test_half_a_message_is_waited_for_no_longer_than_the_deadline(sent: bytes) -> None:
    one, other = multiprocessing.Pipe(duplex=True)
    channel = Channel(one)
    os.write(other.fileno(), sent)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        channel.receive(1000, 0.2)
    assert time.monotonic() - started < 10


@pytest.mark.attack
@pytest.mark.parametrize("length", [1001, 9 * 10**9, 2**64 - 1])
def test_a_message_that_is_too_long_is_not_read(length: int) -> None:
    one, other = multiprocessing.Pipe(duplex=True)
    channel = Channel(one)
    os.write(other.fileno(), struct.pack(">Q", length))
    with pytest.raises(ValueError, match=f"{length} bytes, at most 1000"):
        channel.receive(1000, 20)


@pytest.mark.attack
def test_an_end_that_does_not_read_cannot_stop_the_other(ends: tuple[Channel, Channel]) -> None:
    with pytest.raises(TimeoutError):
        ends[0].send(bytes(10_000_000), seconds=0.2)
