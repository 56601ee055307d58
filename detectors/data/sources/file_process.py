"""The process that reads the headers of image files, which are strangers': started by `files.py`.

The file's bytes -> {"facts": {...}}, or {"unreadable": WHY}
"""

from dataclasses import asdict
from io import BytesIO
from typing import Any

import captioning  # noqa: F401  # imported before the sandbox is entered, which lets it read what is below
from workspace.errors import in_one_line
from workspace.limited.serving import Handler, Server, serve


def handler(_: Server) -> Handler:
    """Describes one file after the other."""
    # Imported in the sandbox: libraries start threads, for which walls that are entered later would not hold.
    import warnings

    from PIL import Image

    from captioning.compression import compression_of
    from captioning.formats import REAL_FORMATS

    def answer(message: dict[str, Any], body: bytes, _: list[int]) -> tuple[dict[str, Any], bytes]:  # noqa: ARG001
        try:
            with warnings.catch_warnings(), Image.open(BytesIO(body), formats=REAL_FORMATS) as image:
                warnings.simplefilter("ignore")
                facts = {"format": image.format, "mode": image.mode, "width": image.width, "height": image.height}
                return {"facts": {**facts, **asdict(compression_of(image))}}, b""
        # On damaged files decoders fail with any kind of error.
        except Exception as error:
            return {"unreadable": in_one_line(error, 200)}, b""

    return answer


if __name__ == "__main__":
    serve(handler)
