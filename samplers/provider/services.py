"""The interface of a provider for the settings of one plan."""

from typing import Any

from samplers.planning.plan import Plan
from samplers.provider.inference_providers import InferenceProvider
from samplers.provider.key import Key
from samplers.provider.openai_images import OpenAIImages
from samplers.provider.recipes import OPENAI, RemoteGenerator
from samplers.provider.service import Service
from workspace.errors import UsageError

#: Hyperparameters that `InferenceClient.text_to_image` takes, by the same names.
_SETTINGS = ("num_inference_steps", "guidance_scale", "height", "width", "negative_prompt", "scheduler")


def service_of(generator: RemoteGenerator, key: Key, plan: Plan) -> Service:
    """Who is asked for the images of a plan, with its settings. Raises `UsageError` for a setting that the provider's
    interface does not have, and as `InferenceProvider`."""
    values = {name: getattr(plan.hyperparameters, name) for name in _SETTINGS}
    settings: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    parameters = {**plan.extra, **generator.parameters}
    if generator.endpoint is None:
        return InferenceProvider(generator.provider, generator.model, key.value, {**settings, **parameters})
    width, height = settings.pop("width", None), settings.pop("height", None)
    if settings:
        raise UsageError(
            f"{generator.name}: OpenAI's images API has no {', '.join(settings)}: remove it from the TOML file"
        )
    if width is not None and height is not None:
        parameters = {"size": f"{width}x{height}", **parameters}
    assert generator.provider == OPENAI
    return OpenAIImages(generator.endpoint, generator.model, key.value, parameters)
