"""What training and evaluation consist of, by kind, as the study counts."""

from manifests.building import build
from manifests.options import BuildOptions
from manifests.report import write_report
from manifests.report.composition import KindRow, Numbers, composition
from manifests.report.rows import opened_rows
from tests.manifests.making import Builder


def test_commercial_generators_are_a_kind_of_their_own_and_shares_are_of_their_set(builder: Builder) -> None:
    none = {"lineage": (), "base_model": None, "task": "unconditional"}
    for name, kind in (("org/a", "LatDiff"), ("org/b", "LatDiff"), ("org/c", "GAN")):
        generator = builder.generator(name, architecture=kind, **none)
        for _ in range(2):
            builder.sample(generator, None)
    # Its architecture is public, and it is commercial all the same.
    bought = builder.generator("company/d", subset="Commercial", architecture="LatDiff", **none)
    builder.sample(bought, None, origin="delivered", seed=None)
    builder.generator("org/unsampled", architecture="PixDiff")
    builder.real("photos", 1)
    workspace = builder.write()
    build(workspace, BuildOptions(holdout=("subset=Commercial",)))
    with opened_rows(workspace) as rows:
        found = composition(rows)
    assert found is not None
    nothing = Numbers(0, 0, 0.0, 0.0)
    assert found.kinds == (
        KindRow("Commercial", nothing, Numbers(1, 1, 1.0, 1.0)),
        KindRow("Latent diffusion", Numbers(2, 4, 2 / 3, 2 / 3), nothing),
        KindRow("GAN", Numbers(1, 2, 1 / 3, 1 / 3), nothing),
    )
    assert found.total == KindRow("All", Numbers(3, 6, 1.0, 1.0), Numbers(1, 1, 1.0, 1.0))
    assert found.origins == (("sampled", 3, 6), ("delivered", 1, 1))
    page = write_report(workspace).read_text()
    assert "Composition by kind" in page
    assert "1 images of 1 generators were delivered" in page
