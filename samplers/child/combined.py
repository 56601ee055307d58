"""A decoder together with its prior, as diffusers' combined pipeline.

Kandinsky, Wuerstchen and Stable Cascade are two repositories each: a prior makes an image embedding from the prompt, a
decoder makes the image. diffusers knows which combined pipeline belongs to a decoder; its components are the decoder's
and, with the prefix `prior_`, those of the prior.
"""

import inspect
from typing import Any

from samplers.child.component_cache import ComponentCache
from samplers.child.failures import GeneratorError, is_out_of_memory
from samplers.child.pipelines import LoadedPipeline, Source, assemble, common_dtype, identities_of
from workspace.errors import in_one_line

_PRIOR = "prior_"


def load_combined(decoder: Source, prior: Source, device: str, cache: ComponentCache) -> LoadedPipeline:
    """The combined pipeline of both; raises `GeneratorError` (load-failed) where diffusers has none for them."""
    cls = _combined_class(decoder.cls)
    # What one computes is the other's input, so both have one dtype.
    dtype = common_dtype([decoder, prior], device)
    cache.keep_only({*identities_of(decoder, dtype).values(), *identities_of(prior, dtype).values()})
    loaded = assemble(decoder, dtype, cache)
    of_prior = assemble(prior, dtype, cache)
    parts = dict(loaded.pipeline.components)
    parts |= {_PRIOR + name: part for name, part in of_prior.pipeline.components.items()}
    taken = inspect.signature(cls.__init__).parameters.keys() - {"self"}
    missing = sorted(taken - parts.keys())
    if missing:
        raise GeneratorError("load-failed", f"decoder and prior do not fit: a {cls.__name__} needs {missing[0]}")
    try:
        pipeline = cls(**{name: part for name, part in parts.items() if name in taken})
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise GeneratorError("load-failed", f"decoder and prior do not fit: {in_one_line(error)}") from error
    return LoadedPipeline(pipeline, loaded.dtype, loaded.variant, (*loaded.handles, *of_prior.handles))


def _combined_class(decoder: Any) -> Any:
    from diffusers.pipelines.auto_pipeline import _get_connected_pipeline

    cls = _get_connected_pipeline(decoder)
    if cls is None:
        raise GeneratorError("load-failed", f"a {decoder.__name__} takes no prior")
    return cls
