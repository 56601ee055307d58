"""What images have in common: equal files, one real image, one caption.

Two images that share one of these, directly or through others, have one content, which is never on both sides of a
fold: a detector that was trained on one of them could know the other by what is in it.
"""

import numpy as np
import numpy.typing as npt

from detectors.data.index import Index


def contents_of(index: Index) -> npt.NDArray[np.int64]:
    """The number of each row's content, from 0: connected components over files, real images and prompts."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, real, prompts = len(index), index.hashes("real_sha256"), index.numbers("prompt_key")
    has_real, has_prompt = real != 0, prompts != 0
    image_of, images = _numbered(np.concatenate([index.hashes("sha256"), real[has_real]]))
    text_of, texts = _numbered(prompts[has_prompt])
    del real, prompts
    node, nodes = image_of[:rows], images + texts
    first = np.concatenate([node[has_real], node[has_prompt]])
    second = np.concatenate([image_of[rows:], images + text_of])
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(nodes, nodes))
    del first, second
    _, component = connected_components(graph, directed=False)
    return _numbered(component[node])[0].astype(np.int64)


def _numbered(values: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.int32], int]:
    """The number of each value among the different ones in their order, and how many these are. As `np.unique`, which
    would have several arrays of 8 bytes a value at a time."""
    order = np.argsort(values).astype(np.int32)
    ordered = values[order]
    ranks = np.empty(len(values), np.int32)
    ranks[order] = np.cumsum(np.concatenate([[False], ordered[1:] != ordered[:-1]]), dtype=np.int32)[: len(values)]
    return ranks, int(ranks.max(initial=-1)) + 1


def places_of(index: Index, contents: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.float64]:
    """Where in [0, 1) each content is: evenly apart, in an order by chance that depends on the seed and the images."""
    keys = np.full(contents.max(initial=-1) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(keys, contents, index.hashes("sha256"))
    with np.errstate(over="ignore"):
        # The finaliser of splitmix64 (Steele, Lea and Flood 2014).
        mixed = keys + np.uint64(seed % (1 << 63)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    places = np.empty(len(keys))
    places[np.argsort(mixed, kind="stable")] = (np.arange(len(keys)) + 0.5) / max(1, len(keys))
    return places
