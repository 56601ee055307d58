import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from crawler.pipelines.source_code import UNKNOWN, class_in, public_names


def test_a_crawl_in_many_threads_imports_neither_torch_nor_diffusers() -> None:
    script = textwrap.dedent(
        """
        import sys
        from concurrent.futures import ThreadPoolExecutor
        import crawler.crawl
        from crawler.pipelines.components import component_exists
        from crawler.pipelines.traits import describe
        sys.setswitchinterval(1e-5)
        components = [("transformers", "CLIPTextModel"), ("diffusers", "AutoencoderKL")]
        def results(_):
            return describe("StableDiffusionPipeline").task, *(component_exists(*names) for names in components)
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(results, range(100))) == {("text-to-image", True, True)}
        assert not {"torch", "diffusers"} & sys.modules.keys()
        """
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package whose modules inherit, rename and compute."""
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


def test_names_are_public_if_the_packages_they_need_are_installed(package: Path) -> None:
    assert public_names(package) == {"Child", "Other"}


def test_methods_and_constants_are_found_through_imports_and_bases(package: Path) -> None:
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
