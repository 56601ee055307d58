"""The Artifact Purification Network: shapes, orthogonal bases, masks that learn, a bound that falls."""

import pytest
import torch

from detectors.models.networks import apn
from detectors.models.networks.apn import SharedInformation
from detectors.models.networks.building import seeded
from detectors.models.registry import resolve


def network(**settings):
    return seeded(resolve("apn", {"size": "toy", "apn.proposals": 5, **settings}), 3)


@pytest.fixture(scope="module")
def pixels():
    return torch.randn(4, 3, 224, 224, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def labels():
    return torch.tensor([0.0, 1, 0, 1])


@pytest.fixture(scope="module")
def toy():
    return network().eval()


def test_both_branches_give_two_features_of_one_width(toy, pixels):
    with torch.inference_mode():
        related, irrelevant, bands = toy.backbone.frequency(pixels)
        space = toy.backbone.space(pixels)
        assert {part.shape for part in (related, irrelevant, *space)} == {(4, 16)}
        assert bands.shape == (4, 2, 5, 2)
        assert toy(pixels).shape == (4,)
        assert toy.features(pixels).shape == (4, 16)


def test_the_two_images_add_up_to_the_image_and_masks_are_crosses(toy, pixels):
    branch = toy.backbone.frequency
    with torch.inference_mode():
        related, irrelevant, _ = branch.split(pixels)
        torch.testing.assert_close(related + irrelevant, pixels)
        # One sure band on each axis: rows of frequency 0.2 to 0.4, columns of 0.6 to 0.7.
        bands = torch.tensor([[[[0.201, 0.399]], [[0.601, 0.699]]]])
        branch.edge.fill_(1e-4)
        mask = branch.mask(bands, torch.ones(1, 2, 1), 200, 101)[0, 0]
    rows, columns = torch.fft.fftfreq(200).abs() * 2, torch.linspace(0, 1, 101)
    expected = ((rows > 0.201) & (rows < 0.399))[:, None] | ((columns > 0.601) & (columns < 0.699))[None]
    assert ((mask - expected.float()).abs() > 0.01).float().sum() == 0
    torch.testing.assert_close(mask[1:100], mask.flip(0)[:99])  # negative frequencies of the rows are masked alike


def test_the_inside_of_the_mask_is_what_the_related_image_has(toy, pixels):
    """A wave whose frequency is in a sure band is artifact-related, another one is not."""
    branch = toy.backbone.frequency
    place = torch.arange(224) / 224
    inside, outside = (torch.cos(2 * torch.pi * cycles * place).expand(1, 3, 224, 224) for cycles in (30, 80))
    bands = torch.tensor([[[[2.0, 3.0]], [[0.2, 0.4]]]])  # no row, columns of 22 to 45 cycles
    with torch.inference_mode():
        branch.edge.fill_(1e-4)
        mask = branch.mask(bands, torch.ones(1, 2, 1), 224, 113)
        kept = [torch.fft.irfft2(torch.fft.rfft2(wave) * mask) for wave in (inside, outside)]
    torch.testing.assert_close(kept[0], inside, atol=1e-3, rtol=0)
    torch.testing.assert_close(kept[1], torch.zeros_like(outside), atol=1e-3, rtol=0)


def gradients(made, pixels, labels, loss="classification"):
    made.zero_grad()
    made.losses(pixels, labels)[loss].backward()
    return {name: one.grad is not None and bool(one.grad.abs().sum() > 0) for name, one in made.named_parameters()}


def test_soft_masks_give_the_bands_a_gradient_and_hard_ones_none(pixels, labels):
    soft, hard = (gradients(network(**{"apn.hard_masks": hard}), pixels, labels) for hard in (False, True))
    bands = [name for name in soft if "proposals.bands" in name]
    assert len(bands) == 2
    assert all(soft[name] for name in bands)
    assert not any(hard[name] for name in bands)


def test_one_step_moves_both_edges_of_the_bands(pixels, labels):
    made = network()
    with torch.no_grad():
        before = made.backbone.frequency.split(pixels)[2]
    optimizer = torch.optim.Adam([{"params": group, "lr": 1e-3 * scale} for group, scale in made.parameter_groups()])
    made.losses(pixels, labels)["classification"].backward()
    optimizer.step()
    with torch.no_grad():
        moved = (made.backbone.frequency.split(pixels)[2] - before).abs()
    assert (moved[..., 0] > 1e-6).any()
    assert (moved[..., 1] > 1e-6).any()


def test_bases_begin_orthonormal_and_together_span_everything(toy):
    space = toy.backbone.space
    both = torch.cat([space.related, space.irrelevant], 1)
    assert torch.equal(both, torch.eye(16))
    assert space.basis_loss() == 0


def test_the_basis_loss_pulls_bases_back(toy):
    space = network().backbone.space
    with torch.no_grad():
        space.related.add_(0.1 * torch.randn(space.related.shape, generator=torch.Generator().manual_seed(2)))
    before = float(space.basis_loss().detach())
    optimizer = torch.optim.SGD([space.related, space.irrelevant], lr=5)
    for _ in range(60):
        optimizer.zero_grad()
        space.basis_loss().backward()
        optimizer.step()
    assert float(space.basis_loss().detach()) < before / 100


def test_narrow_bands_cost_something(pixels, labels):
    made = network()
    losses = made.losses(pixels, labels)
    assert losses["band"] == 0
    assert set(losses) == {"classification", "shared", "band", "basis", "align"}
    with torch.no_grad():
        made.backbone.frequency.proposals.bands.bias.copy_(torch.tensor([5.0, -5.0]))
    assert made.losses(pixels, labels)["band"] > 0


def test_the_estimator_s_loss_reaches_the_estimator_alone(pixels):
    made = network()
    made.inner_loss(pixels).backward()
    own = {id(one) for one in made.inner_parameters()}
    assert {id(one) for one in made.parameters() if one.grad is not None} == own
    grouped = {id(one) for group, _ in made.parameter_groups() for one in group}
    assert not grouped & own
    assert grouped | own == {id(one) for one in made.parameters()}


def trained_estimator(first, second):
    torch.manual_seed(0)
    shared = SharedInformation(first.shape[1])
    optimizer = torch.optim.Adam(shared.parameters(), 1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        shared.estimator_loss(first, second).backward()
        optimizer.step()
    return shared


def test_the_bound_is_high_for_what_is_shared_and_falls_when_it_is_trained_down():
    """Two features that share much have a bound above that of two which share nothing; a layer that is trained on the
    bound forgets what is shared."""
    random = torch.Generator().manual_seed(0)
    first, noise, other = (torch.randn(512, 4, generator=random) for _ in range(3))
    second = first + 0.3 * noise
    shared = trained_estimator(first, second)
    independent = trained_estimator(first, other)
    high = float(shared.bound(first, second).detach())
    assert high > 1
    assert float(independent.bound(first, other).detach()) < high / 4
    layer = torch.nn.Linear(4, 4)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(4))
        layer.bias.zero_()
    optimizer = torch.optim.Adam(layer.parameters(), 2e-2)
    for _ in range(60):
        optimizer.zero_grad()
        shared.bound(first, layer(second)).backward()
        optimizer.step()
    assert float(shared.bound(first, layer(second)).detach()) < high / 2


def test_masks_are_sharper_the_more_is_done(toy):
    made = network()
    edges = []
    for share in (0.0, 0.5, 1.0):
        made.progressed(share)
        edges.append(float(made.backbone.frequency.edge))
    assert edges[0] > edges[1] > edges[2] > 0
    assert "backbone.frequency.edge" in made.state_dict()


def test_the_paper_s_sizes():
    """Features of 256 numbers, bases of 128 and 128, K of 15 on each axis."""
    with torch.device("meta"):
        made = apn.build(224, 15, hard=False)
    assert made.head.weight.shape == (1, 256)
    assert made.backbone.space.related.shape == (256, 128)
    assert made.backbone.frequency.proposals.number == 15
    assert 45e6 < sum(one.numel() for one in made.parameters()) < 60e6
