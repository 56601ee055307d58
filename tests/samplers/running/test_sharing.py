"""How processes share the work, simulated with the product's estimates, shards, units and choice."""

from benchmarks.helping import CLAIM, Simulation, static_seconds
from benchmarks.imagined_campaign import campaign

PROCESSES, GENERATORS = 16, 400


def test_with_helping_all_processes_end_at_about_the_same_time() -> None:
    generators = campaign(GENERATORS)
    static = static_seconds(generators, PROCESSES)
    simulation = Simulation(generators, PROCESSES)
    simulation.run()
    assert all(one.ended for one in generators)
    assert all(one.kept + one.missing == one.segment.images for one in generators)
    # Nothing is faster than the lower bound, and hardly anything is done twice.
    assert 1.0 <= simulation.end / simulation.bound < 1.04
    assert static / simulation.bound > 1.2
    assert simulation.in_vain * CLAIM < 0.05 * simulation.calls
