from xml.etree import ElementTree

from detectors.attribution.figures import confusion_figure, map_figure
from detectors.attribution.tables import Confusion, MapPoint

NAMES = ("GAN", "LatDiff", "real")


def cell(truth: str, predicted: str, share: float) -> Confusion:
    return Confusion(known=truth in NAMES, truth=truth, predicted=predicted, images=round(10 * share), share=share)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_the_matrix_has_the_rows_that_are_known_or_those_that_are_not():
    rows = [cell(truth, predicted, 0.8 if truth == predicted else 0.1) for truth in NAMES for predicted in NAMES]
    rows += [cell("Commercial<b>", predicted, share) for predicted, share in zip(NAMES, (0.2, 0.7, 0.1), strict=True)]
    known, unknown = texts(confusion_figure(rows, known=True)), texts(confusion_figure(rows, known=False))
    assert known.count("0.80") == 3
    assert known.count("0.10") == 6
    assert "Commercial<b> (10)" not in known
    assert "Commercial<b> (10)" in unknown
    assert [unknown.count(share) for share in ("0.20", "0.70", "0.10")] == [1, 1, 1]


def test_the_map_names_what_is_frequent_and_sums_up_the_rest():
    points = [
        MapPoint(
            sha256=str(number),
            label=number % 2,
            architecture=f"kind {number % 22}" if number % 2 else "real",
            real_source="coco" if number % 3 else None,
            part="test",
            x=float(number),
            y=1.0,
        )
        for number in range(100)
    ]
    assert {"real", "generated"} <= set(texts(map_figure(points, "label")))
    kinds = texts(map_figure(points, "kind"))
    assert {"coco", "unknown", "others"} <= set(kinds)
    assert sum(name.startswith("kind") for name in kinds) == 5
