"""The captioner in a process of its own, behind the walls: the same captions, and one line when the process ends.

The process imports torch and transformers, which takes seconds: there is one.
"""

import numpy as np
import pytest

from captioning.blip import Blip
from captioning.generation import Generation
from captioning.sandboxed_captioner import load_sandboxed
from demo.zoo.captioner import REPOSITORY
from workspace.errors import CommunityForensicsError
from workspace.sandbox.walls import WALLS


def test_captions_are_those_of_this_process_and_its_end_is_one_line(blip: Blip) -> None:
    captioner = load_sandboxed(REPOSITORY, "cpu", Generation())
    assert {"landlock", "seccomp", "memory"} <= set(captioner._process.walls) <= set(WALLS)
    assert captioner.target_size == blip.target_size
    shape = (3, blip.target_size.height, blip.target_size.width, 3)
    images = list(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    assert captioner.caption(images) == blip.caption(images)
    captioner._process.close()
    with pytest.raises(
        CommunityForensicsError, match="the process of the captioner was killed by signal 9: run the same"
    ):
        captioner.caption(images)
