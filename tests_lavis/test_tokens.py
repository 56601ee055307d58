"""captioning/tokens.py against CLIP's own tokenizer, whose vocabulary comes with LAVIS."""

import json
import random
import re
import subprocess
from pathlib import Path

from captioning.lavis.backend import lavis_python
from captioning.tokens import MAX_TOKENS, count_tokens
from demo.zoo.captioner.captions import PHOTOGRAPHS

ROOT = Path(__file__).parents[1]

#: The module alone: LAVIS as a whole takes seconds to import.
COUNT = """
import importlib.util, json, sys
from pathlib import Path

(found,) = importlib.util.find_spec("lavis").submodule_search_locations
spec = importlib.util.spec_from_file_location("clip_tokenizer", Path(found) / "models/clip_models/tokenizer.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
tokenizer = module.SimpleTokenizer()
print(json.dumps([len(tokenizer.encode(text)) for text in json.load(sys.stdin)]))
"""


def test_what_fits_by_the_estimate_fits_by_clips_tokenizer() -> None:
    words = [
        word for path in sorted(ROOT.glob("docs/*.md")) for word in re.findall(r"[A-Za-z'-]+[.,;:]?", path.read_text())
    ]
    chance = random.Random(0)
    lengths = [chance.randint(5, 60) for _ in range(300)]
    texts = [
        " ".join(words[start : start + length]) for start, length in zip(range(0, 10**9, 20), lengths, strict=False)
    ]
    texts = [text for text in texts if text] + list(PHOTOGRAPHS.values())
    assert len(texts) > 100
    counted = subprocess.run(
        [lavis_python(), "-c", COUNT], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    fits = [(text, count) for text, count in zip(texts, json.loads(counted.stdout), strict=True)]
    accepted = [count for text, count in fits if count_tokens(text) <= MAX_TOKENS]
    assert max(accepted) <= MAX_TOKENS
    assert sum(map(count_tokens, texts)) < 1.5 * sum(count for _, count in fits)
