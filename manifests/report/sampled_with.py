"""With how many denoising steps, and in which sizes, each generator was sampled, as its images' rows say."""

from dataclasses import dataclass

from manifests.manifest import FAKE
from manifests.report.rows import Rows

#: Sizes of a generator that are named.
_SIZES = 3


@dataclass(frozen=True)
class SampledWith:
    """Of one generator: the most frequent number of denoising steps (None: it takes none), and the sizes of its images,
    most frequent first, as text."""

    steps: int | None
    sizes: tuple[str, ...]

    @property
    def size_text(self) -> str:
        """The sizes, of which the first ones are named."""
        named = ", ".join(self.sizes[:_SIZES])
        return f"{named} and {len(self.sizes) - _SIZES} more" if len(self.sizes) > _SIZES else named


def sampled_with(rows: Rows) -> dict[str, SampledWith]:
    """By the generator's name."""
    steps = rows.connection.execute(f"""
        SELECT generator, num_inference_steps FROM (
            SELECT generator, num_inference_steps, count(*) AS images FROM manifest WHERE label = {FAKE} GROUP BY ALL)
        QUALIFY 1 = row_number() OVER (PARTITION BY generator ORDER BY images DESC, num_inference_steps)""")
    found: dict[str, int | None] = dict(steps.fetchall())
    sizes: dict[str, list[str]] = {}
    for name, width, height in rows.connection.execute(f"""
            SELECT generator, width, height FROM manifest WHERE label = {FAKE} GROUP BY ALL
            ORDER BY generator, count(*) DESC, width, height""").fetchall():
        sizes.setdefault(name, []).append(f"{width} × {height}")
    return {name: SampledWith(number, tuple(sizes[name])) for name, number in found.items()}
