"""Numbers of things in messages: "1 shard", "2 shards"."""


def counted(number: int, one: str, several: str | None = None) -> str:
    """A number with its noun; `several`: the plural where it is not `one` with an s, such as "real images"."""
    return f"{number} {one if number == 1 else several or f'{one}s'}"
