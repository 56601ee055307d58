"""The process in which pictures are decoded: `python -m manifests.pictures.process`, started by `readers.py`.

{"suffix": ".jpg", "fit": SIDE, "stretch": false} + the file's bytes
-> {"size": [WIDTH, HEIGHT], "levels": N, "shape": [HEIGHT, WIDTH, 3]} + RGB, or {"unreadable": WHY}
"""

from io import BytesIO
from typing import Any

import captioning  # noqa: F401  # imported before the sandbox is entered, which lets it read what is below
from workspace.limited.serving import Handler, Server, serve


def handler(_: Server) -> Handler:
    """Decodes one picture after the other."""
    # Imported in the sandbox: libraries start threads, for which walls that are entered later would not hold.
    from PIL import Image

    from captioning.images import UnusableImageError, decode_image

    def answer(message: dict[str, Any], body: bytes, _: list[int]) -> tuple[dict[str, Any], bytes]:
        try:
            image = decode_image(BytesIO(body), message["suffix"])[1]
            size, side = image.size, int(message["fit"])
            levels = sum(count > 0 for count in image.convert("L").histogram())
            if message["stretch"]:
                image = image.resize((side, side), Image.Resampling.BOX)
            else:
                image.thumbnail((side, side))
        except UnusableImageError as error:
            return {"unreadable": str(error)}, b""
        except MemoryError:
            return {"unreadable": "decoding it takes too much memory"}, b""
        return {"size": size, "levels": levels, "shape": (image.height, image.width, 3)}, image.tobytes()

    return answer


if __name__ == "__main__":
    serve(handler)
