"""The process in which images are encoded anew, started by `encoders`.

{"formats": ["JPEG", ...], "variants": [{"resize": [256, null] or null, "jpeg": 75 or null}, ...]} + the file's bytes
-> {"sizes": [BYTES, ...]} + the files of the variants, one after the other, or {"unusable": "..."}
"""

from io import BytesIO
from typing import Any

from workspace.limited.serving import Handler, Server, serve


def handler(_: Server) -> Handler:
    """Encodes the variants of one image after the other."""
    # Imported in the sandbox: libraries start threads, for which walls that are entered later would not hold.
    import warnings

    from PIL import Image

    from manifests.exporting.variants import Variant
    from workspace.errors import in_one_line

    warnings.simplefilter("ignore")  # about unusual metadata, and sizes that are large but allowed

    def encoded(image: Image.Image, variant: Variant) -> bytes:
        file = BytesIO()
        if variant.jpeg is None:
            variant.apply(image).save(file, "PNG")
        else:
            variant.apply(image).save(file, "JPEG", quality=variant.jpeg)
        return file.getvalue()

    def answer(message: dict[str, Any], body: bytes, _: list[int]) -> tuple[dict[str, Any], bytes]:
        variants = [
            Variant(None if made["resize"] is None else tuple(made["resize"]), made["jpeg"])
            for made in message["variants"]
        ]
        try:
            with Image.open(BytesIO(body), formats=message["formats"]) as opened:
                image = opened.convert("RGB")
                image.info.clear()
            files = [encoded(image, variant) for variant in variants]
        # On damaged files decoders fail with any kind of error, and an image may be too large for a format.
        except Exception as error:
            return {"unusable": in_one_line(error, 200, named=isinstance(error, MemoryError))}, b""
        return {"sizes": [len(file) for file in files]}, b"".join(files)

    return answer


if __name__ == "__main__":
    serve(handler)
