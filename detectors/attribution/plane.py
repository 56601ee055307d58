"""Features in two dimensions, by UMAP (McInnes et al. 2018, arXiv 1802.03426), as in the study's figure 8."""

import numpy as np
import numpy.typing as npt

from detectors.attribution.nearest import Features

#: UMAP's own default, less where there are fewer images.
_NEIGHBOURS = 15


def plane(features: Features, seed: int) -> npt.NDArray[np.float32]:
    """A place in the plane for each image, of shape (images, 2): the same for the same features, seed and versions.

    `features`: normalised, of at least 4 images. One thread: with more, umap-learn is not the same twice.
    """
    import umap

    reducer = umap.UMAP(
        n_neighbors=min(_NEIGHBOURS, len(features) - 1),
        metric="cosine",
        init="pca",
        random_state=seed,
        n_jobs=1,
    )
    return np.asarray(reducer.fit_transform(features), dtype=np.float32)
