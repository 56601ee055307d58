"""Reasons why a generator cannot be sampled: a closed set.

A row that cannot be sampled stays in the catalogue with its reason. The study made its evaluation set of models that
the automatic pipeline could not sample, and models that have disappeared are a result too.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a repository cannot be sampled."""

    GATED = "gated"  # its files need an accepted agreement and a token
    DISABLED = "disabled"  # the Hub has disabled it
    GONE = "gone"  # it was in an earlier crawl or in the list, and does not exist any more
    HUB_ERROR = "hub-error"  # the Hub failed to respond for it after several attempts; the next crawl tries again
    NO_MODEL_INDEX = "no-model-index"  # no model_index.json: a single component or a single-file checkpoint
    MALFORMED = "malformed"  # a file that describes it cannot be read
    REMOTE_CODE = "remote-code"  # it needs Python code of its repository
    UNKNOWN_CLASS = "unknown-class"  # the installed diffusers has no such pipeline or component
    NEEDS_PACKAGE = "needs-package"  # a component needs a Python package that is not installed
    VIDEO = "video"  # it generates videos
    AUDIO = "audio"  # it generates audio
    NO_IMAGE_OUTPUT = "no-image-output"  # it generates embeddings, depth maps, text, ...
    NEEDS_INPUT_IMAGE = "needs-input-image"  # it needs an image, a mask or an image embedding
    NEEDS_OTHER_INPUT = "needs-other-input"  # it needs an input that is neither a prompt nor a class
    PICKLE_ONLY = "pickle-only"  # weights only as pickle, which can contain code
    ONNX_ONLY = "onnx-only"  # weights only for ONNX
    QUANTIZED_ONLY = "quantized-only"  # weights only quantized (GGUF, bitsandbytes, ...)
    OTHER_FORMAT = "other-format"  # weights only for Flax, OpenVINO, TensorFlow, ...
    MISSING_FILES = "missing-files"  # a file that sampling needs is not in the repository
    AMBIGUOUS_WEIGHTS = "ambiguous-weights"  # several files could be the adapter, and the card names none
    TOO_LARGE = "too-large"  # larger than any known pipeline
    BASE_MISSING = "base-missing"  # an adapter whose base model is not named or does not exist
    BASE_AMBIGUOUS = "base-ambiguous"  # an adapter that names several base models
    BASE_INCOMPATIBLE = "base-incompatible"  # an adapter whose base model cannot be sampled
    BASE_REMOVED = "base-removed"  # its base model or prior was removed from this workspace
    TEST_REPOSITORY = "test-repository"  # a tiny model for software tests, such as those of hf-internal-testing
    IMPORTED = "imported"  # its images were made elsewhere, and imported
    LEFT_OUT = "left-out"  # the options of the crawl leave it out, by its licence, size or architecture
    OTHER_KIND = "other-kind"  # its files are of a kind that this crawl does not select


#: Reasons that can change without a new commit: the next crawl inspects the model again.
TEMPORARY = frozenset({Reason.HUB_ERROR, Reason.GONE, Reason.NEEDS_PACKAGE})


class Incompatible(Exception):  # noqa: N818 - a finding, not an error
    """Raised where it becomes known that a repository cannot be sampled."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
