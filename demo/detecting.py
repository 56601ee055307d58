"""The last stage of the demo: detectors are trained and judged on what it made, and it says what that proves.

One fold of generators is tested; a detector of pixels, one of spectra and one that sees facts of files only are judged
by it, and a small study varies the number of training generators.
"""

from collections.abc import Iterator

from detectors.results.table import read_results
from detectors.studies.curves import curves
from detectors.studies.stage import studies
from workspace.layout import Workspace

_PROTOCOL = ("--protocol", "generator:4")

#: The command lines, each of which skips finished work. One of four folds, as a shard of them.
COMMANDS = (
    ("cf-detect", "audit", "--matched"),
    ("cf-detect", "train", "tiny", *_PROTOCOL, "--shard", "1/4", "--steps", "40"),
    ("cf-detect", "train", "probe:spectrum", *_PROTOCOL, "--shard", "1/4", "--set", "c=0.01"),
    ("cf-detect", "evaluate", "tiny", "--transform", "jpeg=75"),
    ("cf-detect", "evaluate", "probe-spectrum"),
    ("cf-detect", "evaluate", "shortcut", *_PROTOCOL),
    ("cf-detect", "study", "generators", "--model", "probe:spectrum", "--points", "1,3,10", "--repeats", "2",
     *_PROTOCOL, "--set", "c=0.01"),
    ("cf-detect", "report"),
)  # fmt: skip


def statement(workspace: Workspace) -> Iterator[str]:
    """What the demo's detectors found, and what it can and cannot prove, a line each."""
    found: dict[str, list[float]] = {}
    for row in read_results(workspace).to_pylist():
        about = (row["scope"], row["part"], row["transform"], row["subset"], row["metric"])
        if about == ("mean over generators", "test", "none", "all", "AP") and row["run"] and row["value"] is not None:
            found.setdefault(row["model"], []).append(row["value"])
    for model, values in found.items():
        yield f"{model}: mean average precision {sum(values) / len(values):.2f} on generators that it never saw"
    for study in studies(workspace):
        for curve in curves(study.values):
            if (curve.architecture, curve.metric) == ("all", "mAP"):
                points = ", ".join(
                    f"{mean:.2f} with {point}" for point, mean in zip(curve.points, curve.means, strict=True)
                )
                yield f"{curve.series}, by the number of training generators: {points}"
    yield (
        "This shows that the detectors' stages work on what the others made, and how much of a score file facts alone "
        "give (shortcut)."
    )
    yield (
        "It does not show that detectors find unseen generators of the Hub, or that more generators help: this zoo's "
        "are tiny, most have random weights, and whoever has seen one of them may know them all. For that, use "
        "`cf-detect study generators` on a crawl of your own."
    )
