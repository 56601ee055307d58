"""The generators that ship as TOML files: valid, complete, and right about the trees of others."""

from collections import Counter
from pathlib import Path

import pytest

from captioning.sources.columns import Columns
from crawler.holdout import Holdout, parse_holdouts
from crawler.recipe_files import read_recipes
from samplers.importing.described import read_import
from samplers.importing.selection import select
from samplers.importing.tree import open_tree
from tests.samplers.foreign.making import encoded, picture

GENERATORS = Path(__file__).parents[3] / "generators"
EVALUATION = GENERATORS / "evaluation"
#: The study's section 3.4.
TEN = {
    *("Deci Diffusion V2", "GALIP", "KandinskyV2.2", "Kvikontent", "LCM-LoRA-SDv1.5", "LCM-LoRA-SDXL"),
    *("LCM-LoRA-SSD1B", "Stable Cascade", "DF-GAN", "HDiT"),
}
#: Where each benchmark has the images of a generator, and images that are not to be imported.
LAYOUTS = {
    "genimage": (
        {
            "genimage/ADM": "ADM/imagenet_ai_0508_adm/train/ai",
            "genimage/BigGAN": "BigGAN/imagenet_ai_0419_biggan/val/ai",
            "genimage/GLIDE": "glide/imagenet_glide/train/ai",
            "genimage/Midjourney": "Midjourney/imagenet_midjourney/val/ai",
            "genimage/Stable-Diffusion-v1.4": "stable_diffusion_v_1_4/imagenet_ai_0419_sdv4/train/ai",
            "genimage/Stable-Diffusion-v1.5": "stable_diffusion_v_1_5/imagenet_ai_0424_sdv5/train/ai",
            "genimage/VQDM": "VQDM/imagenet_ai_0419_vqdm/train/ai",
            "genimage/Wukong": "wukong/imagenet_ai_0424_wukong/train/ai",
        },
        "ADM/imagenet_ai_0508_adm/train/nature",
    ),
    "wang2020": (
        {
            "wang2020/ProGAN": "progan/airplane/1_fake",
            "wang2020/StyleGAN": "stylegan/car/1_fake",
            "wang2020/StyleGAN2": "stylegan2/horse/1_fake",
            "wang2020/CycleGAN": "cyclegan/apple/1_fake",
            "wang2020/BigGAN": "biggan/1_fake",
            "wang2020/StarGAN": "stargan/1_fake",
            "wang2020/GauGAN": "gaugan/1_fake",
            "wang2020/CRN": "crn/1_fake",
            "wang2020/IMLE": "imle/1_fake",
            "wang2020/SITD": "seeingdark/1_fake",
            "wang2020/SAN": "san/1_fake",
            "wang2020/Deepfake": "deepfake/1_fake",
            "wang2020/WhichFaceIsReal": "whichfaceisreal/1_fake",
        },
        "progan/airplane/0_real",
    ),
    "ojha2023": (
        {
            "ojha2023/LDM-200": "ldm_200/1_fake",
            "ojha2023/LDM-200-CFG": "ldm_200_cfg/1_fake",
            "ojha2023/LDM-100": "ldm_100/1_fake",
            "ojha2023/GLIDE-100-27": "glide_100_27/1_fake",
            "ojha2023/GLIDE-50-27": "glide_50_27/1_fake",
            "ojha2023/GLIDE-100-10": "glide_100_10/1_fake",
            "ojha2023/DALL-E": "dalle/1_fake",
            "ojha2023/ADM": "guided/1_fake",
        },
        "laion/0_real",
    ),
    "synthbuster": (
        {
            "synthbuster/DALL-E-2": "dalle2",
            "synthbuster/DALL-E-3": "dalle3",
            "synthbuster/Firefly": "firefly",
            "synthbuster/GLIDE": "glide",
            "synthbuster/Midjourney-v5": "midjourney-v5",
            "synthbuster/Stable-Diffusion-1.3": "stable-diffusion-1-3",
            "synthbuster/Stable-Diffusion-1.4": "stable-diffusion-1-4",
            "synthbuster/Stable-Diffusion-2": "stable-diffusion-2",
            "synthbuster/Stable-Diffusion-XL": "stable-diffusion-xl",
        },
        "elsewhere",
    ),
}


def test_each_of_the_ten_evaluation_generators_has_a_complete_place() -> None:
    (file,) = sorted(EVALUATION.glob("*.toml"))
    found = {one.recipe.study: one for one in read_import(file, None).generators}
    assert found.keys() == TEN
    # Figure 12 of the study, without the commercial ones.
    assert Counter(one.recipe.architecture for one in found.values()) == {
        "LatDiff": 6,
        "GAN": 2,
        "PixDiff": 1,
        "Other": 1,
    }
    for one in found.values():
        assert one.recipe.link
        assert one.recipe.how["note"]
        assert one.where["label"] == "1"
        assert one.recipe.subset == "Manual"
    assert len({one.where["model_name"] for one in found.values()}) == 10


def test_holding_them_out_covers_their_repositories_too() -> None:
    (holdout,) = parse_holdouts([f"file={EVALUATION}"])
    names = holdout.value.split(",")
    assert {"study/GALIP", "stabilityai/stable-cascade", "latent-consistency/lcm-lora-sdxl"} <= set(names)
    assert parse_holdouts([str(holdout)]) == [Holdout("names", holdout.value)]


@pytest.mark.parametrize("benchmark", LAYOUTS)
def test_a_benchmark_tree_is_divided_into_its_generators(benchmark: str, tmp_path: Path) -> None:
    folders, other = LAYOUTS[benchmark]
    content = encoded(picture(1))
    for folder in (*folders.values(), other):
        (tmp_path / "data" / folder).mkdir(parents=True)
        (tmp_path / "data" / folder / "r0001.png").write_bytes(content)
    (tmp_path / "data" / "prompts.csv").write_text("image name (matching Raise-1k),Prompt\nr0001,a house\n")
    what = read_import(GENERATORS / "benchmarks" / f"{benchmark}.toml", str(tmp_path))
    selected, unclaimed = select(open_tree(what.path, Columns()), what)
    assert {one.generator.recipe.name: one.names for one in selected} == {
        name: (f"data/{folder}/r0001.png",) for name, folder in folders.items()
    }
    assert unclaimed == [f"data/{other}/r0001.png"]
    for one in selected:
        assert one.prompts.of(one.names[0]).prompt == "a house"


def test_every_file_of_generators_is_valid() -> None:
    files = sorted(GENERATORS.rglob("*.toml"))
    names = [recipe.name for file in files for recipe in read_recipes(file)]
    assert len(names) == len(set(names))
    for file in files:
        assert all(recipe.license or recipe.link for recipe in read_recipes(file)), file
