"""The process of a captioner may answer anything: whoever made its weights may have made the answer."""

from typing import Any

import numpy as np
import pytest

from captioning.sandboxed_captioner import SandboxedCaptioner
from workspace.errors import CommunityForensicsError


@pytest.mark.attack
@pytest.mark.parametrize(
    "answer", [{}, {"captions": 5}, {"captions": [1]}, {"captions": [None]}, {"captions": [["a"]]}]
)
def test_an_answer_that_makes_no_sense_is_one_line(answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    captioner = SandboxedCaptioner.__new__(SandboxedCaptioner)
    monkeypatch.setattr(captioner, "_ask", lambda *_: answer)
    with pytest.raises(CommunityForensicsError, match="sent an answer that makes no sense"):
        captioner.caption([np.zeros((1, 1, 3), np.uint8)])
