from crawler.catalog import CatalogEntry, ModelFile, Program, own_weights
from tests.records import catalog_entry


def _entry(program: Program, *paths: str) -> CatalogEntry:
    files = tuple(ModelFile(path=path, size=1, sha256=path) for path in paths)
    return catalog_entry(program=program, files=files)


def test_the_weights_of_a_program_are_neither_its_code_nor_what_many_share() -> None:
    module = Program(format="python", file="m.py", code=("clone",))
    paths = ("m.py", "clone/stats.pt", "net.pth", "net.json", "vae/model.safetensors", "a/text_encoder/model.bin")
    assert [file.path for file in own_weights(_entry(module, *paths, "a/unet/model.bin"))] == [
        "net.pth",
        "a/unet/model.bin",
    ]
    model = Program(format="torchscript", file="net.jit")
    assert [file.path for file in own_weights(_entry(model, "net.jit"))] == ["net.jit"]
    checkpoint = catalog_entry(files=(ModelFile(path="unet/x.safetensors", size=1), ModelFile(path="x.pth", size=1)))
    assert [file.path for file in own_weights(checkpoint)] == ["unet/x.safetensors"]
