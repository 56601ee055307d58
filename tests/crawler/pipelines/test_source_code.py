"""What is read in diffusers' source is what its imported classes say of themselves."""

import inspect
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import diffusers
import pytest
import transformers
from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING

from crawler.pipelines.source_code import UNKNOWN, class_in, folder_of, offered_by
from crawler.pipelines.traits import component_exists, describe


def imported_pipelines() -> dict[str, Any]:
    """Every pipeline class that can be imported here and has a call of its own."""
    classes = {name: getattr(diffusers, name) for name in dir(diffusers) if "Pipeline" in name}
    return {
        name: cls
        for name, cls in classes.items()
        if isinstance(cls, type)
        and issubclass(cls, diffusers.DiffusionPipeline)
        and inspect.isfunction(inspect.unwrap(cls.__call__))
    }


def is_plain(value: object) -> bool:
    return value is None or type(value) in (bool, int, float, str)


def test_every_class_is_read_as_it_is_when_imported() -> None:
    pipelines = imported_pipelines()
    assert len(pipelines) > 250
    for name, cls in pipelines.items():
        traits = describe(name)
        assert traits is not None, name
        parameters = dict(inspect.signature(inspect.unwrap(cls.__call__)).parameters)
        del parameters["self"]
        named = {
            key: value
            for key, value in parameters.items()
            if value.kind not in (value.VAR_KEYWORD, value.VAR_POSITIONAL)
        }
        assert traits.parameters == set(named), name
        assert traits.required == {key for key, value in named.items() if value.default is value.empty}, name
        plain = {key: value.default for key, value in named.items() if is_plain(value.default)}
        assert dict(traits.defaults) == plain, name
        assert list(traits.components) == cls._get_signature_keys(cls)[0], name
        assert traits.optional_components == set(cls._optional_components), name


def test_what_cannot_be_imported_here_is_not_read_either() -> None:
    offered = {name for name in offered_by(_diffusers()) if "Pipeline" in name and describe(name) is not None}
    assert offered == set(imported_pipelines())


def test_components_that_are_said_to_exist_can_be_imported() -> None:
    asked = 0
    for name in sorted(offered_by(_diffusers())):
        if name.endswith(("Model", "Scheduler", "AutoencoderKL")) and component_exists("diffusers", name):
            assert isinstance(getattr(diffusers, name), type), name
            asked += 1
    assert asked > 100
    for cls in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values():
        for annotation in inspect.signature(cls.__init__).parameters.values():
            part = annotation.annotation
            if isinstance(part, type) and getattr(transformers, part.__name__, None) is part:
                assert component_exists("transformers", part.__name__), part
    # Made by that package of a class that transformers does not offer.
    assert component_exists("prx", "T5GemmaEncoder")
    # What diffusers writes of a class of transformers that one of its own packages passes on.
    assert component_exists("glm_image", "GlmImageProcessor")
    assert not component_exists("glm_image", "CLIPTextModel")


def test_a_crawl_imports_neither_torch_nor_diffusers() -> None:
    script = textwrap.dedent(
        """
        import sys
        import crawler.crawl
        from crawler.pipelines.traits import component_exists, describe
        assert describe("StableDiffusionXLPipeline").task == "text-to-image"
        assert component_exists("transformers", "CLIPTextModelWithProjection")
        assert component_exists("diffusers", "UNet2DConditionModel")
        assert not {"torch", "diffusers"} & sys.modules.keys()
        """
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_many_threads_that_ask_at_once_hear_the_same() -> None:
    script = textwrap.dedent(
        """
        import sys
        from concurrent.futures import ThreadPoolExecutor
        from crawler.pipelines.traits import component_exists, describe
        sys.setswitchinterval(1e-5)
        asked = [("transformers", "CLIPTextModel"), ("transformers", "CLIPTokenizer"), ("diffusers", "AutoencoderKL")]
        def answers(_):
            return describe("StableDiffusionPipeline").task, *(component_exists(*names) for names in asked)
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(answers, range(100))) == {("text-to-image", True, True, True)}
        """
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that inherits, renames and computes across its modules."""
    folder = tmp_path / "package"
    (folder / "parts").mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "_import_structure = {'parts': []}\n"
        "try:\n    if not (is_json_available() and is_nosuchpackage_available()):\n        raise Absent()\n"
        "except Absent:\n    pass\nelse:\n    _import_structure['parts'].append('Never')\n"
        "try:\n    if not is_pytest_version('>=', '1.0'):\n        raise Absent()\n"
        "except Absent:\n    pass\nelse:\n    _import_structure['parts'].extend(['Child', 'Other'])\n"
    )
    (folder / "base.py").write_text(
        "SIDE = 8 * 64\nclass Base:\n    _optional = ['a']\n    def run(self, x, size=SIDE, *, mode=make()): 'doc'\n"
    )
    (folder / "parts" / "child.py").write_text(
        "from ..base import Base as Parent\nfrom elsewhere import Mixin\nclass Child(Mixin, Parent):\n    pass\n"
    )
    return folder


def test_names_are_offered_where_what_they_need_is_installed(package: Path) -> None:
    assert offered_by(package) == {"Child", "Other"}


def test_methods_and_constants_are_followed_through_imports_and_bases(package: Path) -> None:
    cls = class_in(package / "parts", "Child")
    assert cls is not None
    method = cls.method("run")
    assert method is not None
    assert [(one.name, one.required) for one in method.arguments()] == [("x", True), ("size", False), ("mode", False)]
    assert [one.default for one in method.arguments()] == [UNKNOWN, 512, UNKNOWN]
    assert method.documentation == "doc"
    assert cls.attribute("_optional") == ["a"]
    assert cls.attribute("nothing") is UNKNOWN
    assert cls.method("nothing") is None
    assert class_in(package, "Nobody") is None


def _diffusers() -> Path:
    folder = folder_of("diffusers")
    assert folder is not None
    return folder
