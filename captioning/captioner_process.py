"""The process in which the captioner's weights are opened: started by `sandboxed_captioner.py`.

{"load": {"folder": ..., "device": ..., "generation": {...}}}  -> {"target_size": {...}, "device": ...}
{"caption": [[HEIGHT, WIDTH], ...]} and their RGB bytes        -> {"captions": ["...", ...]}
an error                                                       -> {"usage": "..."} or {"failed": "..."}
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workspace.errors import CommunityForensicsError, UsageError, in_one_line
from workspace.limited.serving import Handler, Server, serve

if TYPE_CHECKING:
    from captioning.captioner import Captioner
    from captioning.generation import Generation


def load_here(folder: Path, device: str, generation: "Generation") -> "Captioner":
    """Load a captioner into this process. Raises `UsageError` when the folder or the device cannot be used."""
    from captioning.blip import Blip
    from captioning.image_to_text import ImageToText
    from captioning.loading import model_class
    from workspace.device import chosen_device

    kind = Blip if model_class(folder) == "BlipForConditionalGeneration" else ImageToText
    return kind(folder, chosen_device(device), generation)


def handler(_: Server) -> Handler:
    """Answers with one captioner, loaded first."""
    import numpy as np

    from captioning.generation import Generation

    loaded: list[Captioner] = []

    def answered(message: dict[str, Any], body: bytes) -> dict[str, Any]:
        if "load" in message:
            asked = message["load"]
            loaded[:] = [load_here(Path(asked["folder"]), asked["device"], Generation(**asked["generation"]))]
            return {"target_size": dataclasses.asdict(loaded[0].target_size), "device": loaded[0].device}
        images, at = [], 0
        for height, width in message["caption"]:
            images.append(np.frombuffer(body, np.uint8, height * width * 3, at).reshape(height, width, 3))
            at += height * width * 3
        return {"captions": loaded[0].caption(images)}

    def answer(message: dict[str, Any], body: bytes, _: list[int]) -> tuple[dict[str, Any], bytes]:
        try:
            return answered(message, body), b""
        except UsageError as error:
            return {"usage": str(error)}, b""
        except CommunityForensicsError as error:
            return {"failed": str(error)}, b""
        except Exception as error:
            return {"failed": f"the captioner failed ({in_one_line(error)})"}, b""

    return answer


if __name__ == "__main__":
    serve(handler)
