"""A decoding process that ends at images which are to be 13 pixels wide, as a defect in a decoder would end it."""

import os
import signal
from typing import Any

from captioning.decoding_process import handler
from workspace.limited.serving import Handler, Server, serve


def deadly(server: Server) -> Handler:
    answer = handler(server)

    def answer_or_end(message: dict[str, Any], body: bytes, files: list[int]) -> tuple[dict[str, Any], bytes]:
        if message["target_size"] and message["target_size"]["width"] == 13:
            os.kill(os.getpid(), signal.SIGSEGV)
        return answer(message, body, files)

    return answer_or_end


if __name__ == "__main__":
    serve(deadly)
