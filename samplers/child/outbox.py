"""What the child sends: messages, and batches with their images, from several threads, each whole."""

import dataclasses
import threading
from collections.abc import Sequence

from samplers.channel import Channel
from samplers.messages import Batch, FromChild, encode
from samplers.sample import Sample


class Outbox:
    """Sends to the supervisor. Raises `OSError` when it is gone."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._announced = 0
        self._sent = threading.Condition()

    def send(self, message: FromChild) -> None:
        """Send one message."""
        self._channel.send(encode(message))

    def announce(self) -> None:
        """State that a batch was sampled and will be sent."""
        with self._sent:
            self._announced += 1

    def send_batch(self, rows: Sequence[Sample], files: Sequence[bytes]) -> None:
        """Send a batch that was announced: its rows, then the PNG files of those that are kept; none without rows."""
        plain = [dataclasses.asdict(row) for row in rows]
        for row in plain:
            del row["image"]
        if rows:
            self._channel.send(encode(Batch(rows=plain)), *files)
        with self._sent:
            self._announced -= 1
            self._sent.notify_all()

    def drain(self, seconds: float) -> None:
        """Wait until every announced batch is sent, at most so long."""
        with self._sent:
            self._sent.wait_for(lambda: not self._announced, seconds)
