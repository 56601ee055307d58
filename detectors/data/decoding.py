"""The process in which images are decoded for detectors: `python -m detectors.data.decoding`, started by `images.py`.

{"suffix": ".jpg", "pixels": LARGEST} + the file's bytes
-> {"shape": [HEIGHT, WIDTH, 3]} + RGB, or {"unreadable": WHY}
"""

from io import BytesIO
from typing import Any

import captioning  # noqa: F401  # imported before the sandbox is entered, which lets it read what is below
from workspace.limited.serving import Handler, Server, serve


def handler(_: Server) -> Handler:
    """Decodes one image after the other."""
    # Imported in the sandbox: libraries start threads, for which walls that are entered later would not hold.
    import numpy as np

    from captioning.images import UnusableImageError, decode_image

    def answer(message: dict[str, Any], body: bytes, _: list[int]) -> tuple[dict[str, Any], bytes]:
        try:
            image = decode_image(BytesIO(body), message["suffix"])[1]
            if image.width * image.height > message["pixels"]:
                return {"unreadable": f"{image.width} x {image.height} pixels, {message['pixels']:,} at most"}, b""
            pixels = np.asarray(image)
        except UnusableImageError as error:
            return {"unreadable": str(error)}, b""
        except MemoryError:
            return {"unreadable": "decoding it takes too much memory"}, b""
        return {"shape": pixels.shape}, pixels.tobytes()

    return answer


if __name__ == "__main__":
    serve(handler)
