"""The process in which training images are decoded and augmented: `python -m detectors.training.preparing_process`.

{"suffix": ".jpg", "pixels": LARGEST, "input": {...}, "scheme": "rsa", "probability": P, "seed": N} + the file's bytes
-> {} + the RGB bytes of what the network sees, or {"unreadable": WHY}
"""

from io import BytesIO
from typing import Any

import captioning  # noqa: F401  # imported before the sandbox is entered, which lets it read what is below
from workspace.limited.serving import Handler, Server, serve


def handler(_: Server) -> Handler:
    """Prepares one image after the other."""
    # Imported in the sandbox: libraries start threads, for which walls that are entered later would not hold.
    import cv2
    import numpy as np

    from captioning.images import UnusableImageError, decode_image
    from detectors.pixels.inputs import Input
    from detectors.pixels.schemes import scheme

    cv2.setNumThreads(1)  # the others have the other cores

    def answer(message: dict[str, Any], body: bytes, _: list[int]) -> tuple[dict[str, Any], bytes]:
        try:
            image = decode_image(BytesIO(body), message["suffix"])[1]
            if image.width * image.height > message["pixels"]:
                return {"unreadable": f"{image.width} x {image.height} pixels, {message['pixels']:,} at most"}, b""
            augment = scheme(message["scheme"], Input.of(message["input"]), message["probability"])
            pixels = augment(np.asarray(image), np.random.default_rng(message["seed"]))
        except UnusableImageError as error:
            return {"unreadable": str(error)}, b""
        except MemoryError:
            return {"unreadable": "preparing it takes too much memory"}, b""
        return {}, pixels.tobytes()

    return answer


if __name__ == "__main__":
    serve(handler)
