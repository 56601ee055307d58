"""Numbers of things in messages: "1 shard", "2 shards"."""


def form(number: int, one: str, several: str) -> str:
    """The words for this number of things, such as "it" or "them"."""
    return one if number == 1 else several


def counted(number: int, noun: str) -> str:
    """A number with its noun, whose plural ends in s."""
    return f"{number} {form(number, noun, f'{noun}s')}"
