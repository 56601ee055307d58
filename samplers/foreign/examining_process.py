"""The process in which images that others made are opened: `python -m samplers.foreign.examining_process`, started by
`examiner.py`.

{"load": {"checker": FOLDER, "device": ...}}                       -> {"device": ...}, or {"failed": WHY}
{"images": [{"suffix": ".jpg", "size": BYTES}, ...], "hashes": true} and the files
-> {"images": [{"facts": {...}, ...} or {"unusable": {"reason": ..., "detail": ...}}, ...]}, or {"failed": WHY}
"""

import dataclasses
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import captioning  # noqa: F401  # imported before the sandbox is entered, which lets it read what is below
import crawler  # noqa: F401
from workspace.limited.serving import Handler, Server, serve

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    from samplers.child.safety import SafetyChecker


def handler(_: Server) -> Handler:
    """Answers with one safety checker, loaded first."""
    # Imported in the sandbox: libraries start threads, for which walls that are entered later would not hold.
    from samplers.child.safety import CheckerError, SafetyChecker
    from workspace.device import DeviceError, chosen_device

    loaded: list[SafetyChecker] = []

    def answer(message: dict[str, Any], body: bytes, _: list[int]) -> tuple[dict[str, Any], bytes]:
        try:
            if "load" in message:
                device = chosen_device(message["load"]["device"])
                loaded[:] = [SafetyChecker(Path(message["load"]["checker"]), device)]
                return {"device": device}, b""
            return {"images": examine(loaded[0], message, body)}, b""
        except (CheckerError, DeviceError) as error:
            return {"failed": str(error)}, b""

    return answer


def examine(checker: "SafetyChecker", message: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
    """What is found in each file of a message."""
    found: list[dict[str, Any]] = []
    pictures: list[npt.NDArray[np.uint8]] = []
    at = 0
    for one in message["images"]:
        content = body[at : at + one["size"]]
        at += one["size"]
        result, pixels = _decoded(content, one["suffix"], bool(message["hashes"]))
        found.append(result)
        if pixels is not None:
            pictures.append(pixels)
    results = iter(checker.check(pictures))
    for result in found:
        if result.get("blank") is False:
            result |= dataclasses.asdict(next(results))
    return found


def _decoded(content: bytes, suffix: str, hashes: bool) -> "tuple[dict[str, Any], npt.NDArray[np.uint8] | None]":
    """What is found in a file, and its pixels where the safety checker is to look at them."""
    import numpy as np

    from captioning.images import UnusableImageError, decode_image
    from samplers.foreign.file_metadata import bounded, file_texts, has_c2pa
    from samplers.foreign.generation_settings import generation_settings
    from samplers.image_checks import is_blank

    texts: dict[str, str] = {}

    def look(image: "Image.Image") -> None:
        texts.update(file_texts(image))

    try:
        facts, image = decode_image(BytesIO(content), suffix, look=look)
    except UnusableImageError as error:
        return {"unusable": {"reason": error.reason, "detail": error.detail}}, None
    except MemoryError:
        return {"unusable": {"reason": "broken", "detail": "decoding it takes too much memory"}}, None
    pixels = np.asarray(image)
    settings = generation_settings(texts)
    blank = is_blank(pixels)
    return {
        "facts": dataclasses.asdict(facts),
        "texts": bounded(texts),
        "settings": None if settings is None else dataclasses.asdict(settings),
        "c2pa": has_c2pa(content),
        "hash": _perceptual_hash(image) if hashes and not blank else None,
        "blank": blank,
    }, None if blank else pixels


def _perceptual_hash(image: "Image.Image") -> str:
    import imagehash

    return str(imagehash.phash(image))


if __name__ == "__main__":
    serve(handler)
