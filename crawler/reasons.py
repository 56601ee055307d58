"""The verdict: can this generator be sampled, and if not, why not.

The reasons are a closed set, documented here. A row that cannot be sampled stays in the catalogue with its reason:
the study made its evaluation set of what the automatic pipeline could not sample, and link rot is a finding.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a repository cannot be sampled."""

    GATED = "gated"  # its files are refused until its terms are accepted, with a token
    DISABLED = "disabled"  # the Hub has switched it off
    GONE = "gone"  # it was there in a former crawl, or in the listing, and is not any more
    HUB_ERROR = "hub-error"  # the Hub failed to answer for it, again and again; the next crawl asks again
    NO_MODEL_INDEX = "no-model-index"  # no model_index.json: a single component or a single-file checkpoint
    MALFORMED = "malformed"  # a file that says what it is cannot be read
    REMOTE_CODE = "remote-code"  # it wants Python code of its own to run
    UNKNOWN_CLASS = "unknown-class"  # the installed diffusers has no such pipeline
    VIDEO = "video"  # it makes films
    AUDIO = "audio"  # it makes sound
    NO_IMAGE_OUTPUT = "no-image-output"  # it makes embeddings, depth maps, text, ...
    NEEDS_INPUT_IMAGE = "needs-input-image"  # it starts from a picture, a mask or a picture's embedding
    NEEDS_OTHER_INPUT = "needs-other-input"  # a call needs something that is neither a prompt nor a class
    PICKLE_ONLY = "pickle-only"  # weights only as pickle, which can carry code
    ONNX_ONLY = "onnx-only"  # weights only for ONNX
    QUANTIZED_ONLY = "quantized-only"  # weights only quantized (GGUF, bitsandbytes, ...)
    OTHER_FORMAT = "other-format"  # weights only for Flax, OpenVINO, TensorFlow, ...
    MISSING_FILES = "missing-files"  # a file that sampling needs is not in the repository
    AMBIGUOUS_WEIGHTS = "ambiguous-weights"  # several files could be the adapter, and the card names none
    TOO_LARGE = "too-large"  # sizes beyond any known pipeline's
    BASE_MISSING = "base-missing"  # an adapter whose base is not named or not there
    BASE_AMBIGUOUS = "base-ambiguous"  # an adapter that names several bases
    BASE_INCOMPATIBLE = "base-incompatible"  # an adapter whose base cannot be sampled itself
    OTHER_KIND = "other-kind"  # inside it is of a kind that this crawl does not take


#: Reasons that say something about the moment, not the repository: the next crawl looks again.
PASSING = frozenset({Reason.HUB_ERROR, Reason.GONE})


class Incompatible(Exception):  # noqa: N818 - a verdict, not an error
    """Raised where it becomes known that a repository cannot be sampled."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
