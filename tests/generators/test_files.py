"""The TOML files of the study's generators are valid and complete, and what they call exists."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

import generators
from crawler.catalog import CatalogEntry
from crawler.programs.modules import settings_of_function
from crawler.programs.table import ProgramTable
from crawler.recipe_files import GeneratorRecipe, read_recipes, row_of

FOLDER = Path(generators.__file__).parent
FILES = sorted(FOLDER.glob("*/*.toml"))
#: The nineteen of the study's section 3.2, as it writes them, by architecture.
MANUAL = {
    "GAN": {
        *("StyleGAN", "StyleGAN2", "StyleGAN3", "StyleGAN-XL", "BigGAN", "StyleSwin", "GigaGAN", "ProGAN"),
        *("ProjectedGAN", "GANformer", "SAN", "CIPS"),
    },
    "PixDiff": {"GLIDE", "ADM", "DeepFloyd"},
    "LatDiff": {"VQ-Diffusion", "DiT", "Latent Flow Matching"},
    "Other": {"Taming Transformers"},
}


def of_folder(name: str) -> list[GeneratorRecipe]:
    return [recipe for file in FILES if file.parent.name == name for recipe in read_recipes(file)]


def _row(recipe: GeneratorRecipe) -> tuple[CatalogEntry, ProgramTable]:
    table = ProgramTable.read(recipe)
    return row_of(recipe, revision="a" * 64, program=table.program), table


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_each_says_what_it_is_with_licence_home_and_where_its_images_come_from(file: Path) -> None:
    kind = file.parent.name
    for recipe in read_recipes(file):
        assert recipe.study or kind == "benchmarks", recipe.name
        # Of older benchmarks none is stated.
        assert recipe.license or kind == "benchmarks", recipe.name
        assert recipe.link, recipe.name
        assert recipe.how or recipe.kind == "import", recipe.name
        if kind != "benchmarks":
            assert recipe.subset == ("Commercial" if kind == "commercial" else "Manual")


def test_no_two_have_one_name() -> None:
    names = [recipe.name for file in FILES for recipe in read_recipes(file)]
    assert len(set(names)) == len(names)


def test_the_nineteen_manual_generators_of_the_study_are_all_there() -> None:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for recipe in of_folder("manual"):
        found[recipe.architecture].add(str(recipe.study))
    assert found == MANUAL
    assert sum(map(len, MANUAL.values())) == 19


@pytest.mark.parametrize(("folder", "number"), [("commercial", 11), ("evaluation", 10)])
def test_its_commercial_and_its_evaluation_generators_are_all_there(folder: str, number: int) -> None:
    assert len({recipe.study for recipe in of_folder(folder)}) == number


#: Licence and real source by the study's metadata of its evaluation set (data/metadata/eval_set_metadata.csv in
#: OwensLab/CommunityForensics); those of the commercial ones are tested in the room of the providers.
EVALUATION = {
    "Deci Diffusion V2": ("openrail++", "raise"),
    "GALIP": ("mit", "raise"),
    "KandinskyV2.2": ("apache-2.0", "raise"),
    "Kvikontent": ("openrail++", "raise"),
    "LCM-LoRA-SDv1.5": ("openrail++", "raise"),
    "LCM-LoRA-SDXL": ("openrail++", "raise"),
    "LCM-LoRA-SSD1B": ("openrail++", "raise"),
    "Stable Cascade": ("stable-cascade-nc-community", "raise"),
    "DF-GAN": ("cc-by-nc-sa-4.0", "coco"),
    "HDiT": ("mit", "ffhq, imagenet"),
}


def test_licences_and_real_sources_of_the_evaluation_set_are_those_of_the_study() -> None:
    found = {one.study: (one.license_name or one.license, one.study_source) for one in of_folder("evaluation")}
    assert found == EVALUATION
    assert {one.study_source for one in of_folder("commercial")} == {"laion"}


def test_what_the_study_says_of_two_of_them_is_said() -> None:
    rows = {recipe.study: recipe for recipe in of_folder("manual")}
    assert (rows["BigGAN"].license, rows["BigGAN"].study_source) == ("mit", "imagenet")
    assert (rows["DeepFloyd"].license, rows["DeepFloyd"].study_source) == ("deepfloyd-if-license", "coco")


@pytest.mark.parametrize("recipe", of_folder("manual"), ids=lambda recipe: recipe.name)
def test_a_manual_one_can_be_added_once_its_weights_are_there(recipe: GeneratorRecipe) -> None:
    assert recipe.weights
    # Of generators without prompts the real source is what they were trained on.
    assert (recipe.trained_on is not None) == (recipe.task != "text-to-image")
    if recipe.kind == "import":
        return
    row, table = _row(recipe)
    assert row.program is not None
    assert row.task is not None
    assert row.license_family != "unknown" or row.license_name is not None
    module = table.places[row.program.file]
    assert module.parent == FOLDER / "adapters"
    taken = settings_of_function(module, str(row.program.function), row.task)
    declared = {*recipe.settings, *json.loads(recipe.settings.get("extra") or "{}")} - {"extra"}
    assert declared <= set(taken)


def test_every_adapter_is_called_by_a_file() -> None:
    used = {table.places[table.program.file].stem for _, table in map(_row, _programs())}
    assert used == {file.stem for file in (FOLDER / "adapters").glob("[a-z]*.py")}


def _programs() -> list[GeneratorRecipe]:
    return [recipe for recipe in of_folder("manual") if recipe.kind == "program"]
