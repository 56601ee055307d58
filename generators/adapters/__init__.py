"""One module for each published code base, with the function `sample` that calls it for a batch of seeds.

The code base itself is installed by the user (`packages`), or is a clone beside the weights (`code`). Modules whose
names begin with an underscore are shared, and are copied beside each adapter.
"""
