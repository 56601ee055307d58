"""The process in which images are decoded: `python -m captioning.decoding_process`, started by `decoders.py`.

{"suffix": ".jpg", "target_size": {...} or null} + the open file or its bytes
-> {"facts": {...}, "shape": [HEIGHT, WIDTH, 3] or null} + RGB, or {"unusable": {"reason": ..., "detail": ...}}
"""

import dataclasses
import os
from io import BytesIO
from typing import Any

from workspace.limited.serving import Handler, Server, serve


def handler(_: Server) -> Handler:
    """Decodes one image after the other."""
    # Imported in the sandbox: libraries start threads, for which walls that are entered later would not hold.
    from captioning.decoding import Unusable, decode_file
    from captioning.target_size import TargetSize

    def answer(message: dict[str, Any], body: bytes, files: list[int]) -> tuple[dict[str, Any], bytes]:
        target_size = None if message["target_size"] is None else TargetSize(**message["target_size"])
        with os.fdopen(files[0], "rb") if files else BytesIO(body) as file:
            result = decode_file(file, message["suffix"], target_size)
        if isinstance(result, Unusable):
            return {"unusable": dataclasses.asdict(result)}, b""
        facts = dataclasses.asdict(result.facts)
        if result.pixels is None:
            return {"facts": facts, "shape": None}, b""
        return {"facts": facts, "shape": result.pixels.shape}, result.pixels.tobytes()

    return answer


if __name__ == "__main__":
    serve(handler)
