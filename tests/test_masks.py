import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torchvision.ops import drop_block2d

from camdrop.cam import compress_weights
from camdrop.masks import METHODS, CamDrop, DropBlock, Dropout, DropPath, SpatialDropout, _expand
from tests.support.features import generator, random_features

# An independent reading of Eq. 4–10, one unit at a time.


def oracle_valid(h, w, r):
    valid = np.zeros((h, w), bool)
    for i in range(h):
        for j in range(w):
            valid[i, j] = (
                i - r // 2 >= 0 and i + (r - 1) // 2 <= h - 1 and j - r // 2 >= 0 and j + (r - 1) // 2 <= w - 1
            )
    return valid


def oracle_blocks(seeds, r):
    dropped = np.zeros_like(seeds)
    h, w = seeds.shape[-2:]
    for index in np.argwhere(seeds):
        *lead, i, j = index
        for a in range(max(0, i - r // 2), min(h, i + (r - 1) // 2 + 1)):
            for b in range(max(0, j - r // 2), min(w, j + (r - 1) // 2 + 1)):
                dropped[(*lead, a, b)] = True
    return dropped


def oracle_candidates(x, alpha, method):
    """J, positions, channels, candidates by sorting; x (C, H, W), alpha (C,)."""
    c, h, w = x.shape
    r = min(method.block_size, h, w)
    cam = np.einsum("c,chw->hw", alpha, x) if method.guide == "cam" else x.mean(0)
    count = h * w // r**2 if method.position_fraction is None else int(h * w * method.position_fraction + 1e-9)
    positions = np.zeros(h * w, bool)
    positions[np.argsort(-cam.ravel(), kind="stable")[: max(1, count)]] = True
    channels = np.zeros(c, bool)
    if method.channels == "all":
        channels[:] = True
    else:
        k = max(1, int(c * method.channel_fraction + 1e-9)) + (method.reading == "official")
        channels[np.argsort(-alpha, kind="stable")[:k]] = True
    positions = positions.reshape(h, w)
    return cam, positions, channels, (positions & oracle_valid(h, w, r))[None] & channels[:, None, None]


def oracle_rate(candidates, shape, method):
    c, h, w = shape
    r = min(method.block_size, h, w)
    if method.reading == "paper":
        return 1 - method.keep_prob
    if method.reading == "official":
        return min(1, (1 - method.keep_prob) * h * w / (r**2 * (h - r + 1) * (w - r + 1)))
    return min(1, (1 - method.keep_prob) * c * h * w / (r**2 * max(1, candidates.sum())))


sizes = {
    "n": st.integers(1, 3),
    "c": st.integers(1, 20),
    "h": st.integers(1, 12),
    "w": st.integers(1, 12),
    "r": st.integers(1, 14),
}
options = {
    "keep_prob": st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    "channel_fraction": st.sampled_from([1 / 16, 1 / 8, 1 / 3, 1.0]),
    "position_fraction": st.sampled_from([None, 0.1, 0.7, 1.0]),
    "reading": st.sampled_from(["paper", "official", "matched"]),
    "guide": st.sampled_from(["cam", "mean"]),
    "channels": st.sampled_from(["dominant", "all"]),
}


@settings(max_examples=150, deadline=None)
@given(**sizes, **options, seed=st.integers(0, 1000))
def test_camdrop_equals_the_oracle(n, c, h, w, r, seed, **kw):
    method = CamDrop(block_size=r, **kw)
    x, alpha = random_features(n, c, h, w, seed)
    mask = method.sample(x, alpha=alpha, generator=generator(seed))
    for i in range(n):
        cam, positions, channels, candidates = oracle_candidates(x[i].numpy(), alpha[i].numpy(), method)
        np.testing.assert_allclose(mask.cam[i].numpy(), cam, atol=1e-5)
        np.testing.assert_array_equal(mask.positions[i].numpy(), positions)
        np.testing.assert_array_equal(mask.channels[i].numpy(), channels)
        np.testing.assert_array_equal(mask.candidates[i].numpy(), candidates)
        seeds = mask.seeds[i].numpy()
        rate = oracle_rate(candidates, (c, h, w), method)
        assert not (seeds & ~candidates).any()
        if rate in (0, 1):
            np.testing.assert_array_equal(seeds, candidates if rate else np.zeros_like(candidates))
        dropped = oracle_blocks(seeds, min(r, h, w))
        np.testing.assert_array_equal(mask.keep[i].numpy(), ~dropped)
        assert mask.dropped[i].item() == pytest.approx(dropped.mean(), abs=1e-6)
        kept = max(1, (~dropped).sum())
        assert mask.scale[i].item() == pytest.approx(c * h * w / kept, rel=1e-5)
        expected = np.where(dropped, 0, x[i].numpy() * c * h * w / kept)
        np.testing.assert_allclose(mask.apply(x)[i].numpy(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(mask.valid.numpy(), oracle_valid(h, w, min(r, h, w)))


@pytest.mark.parametrize("reading", ["paper", "official", "matched"])
def test_seed_rate_of_each_reading(reading):
    method = CamDrop(block_size=4, keep_prob=0.8, reading=reading, channel_fraction=1 / 4)
    x, alpha = random_features(400, 16, 12, 12)
    mask = method.sample(x, alpha=alpha, generator=generator())
    candidates = mask.candidates.flatten(1).sum(1)
    expected = sum(int(count) * oracle_rate(np.ones(int(count)), (16, 12, 12), method) for count in candidates) / int(
        candidates.sum()
    )
    got = int(mask.seeds.sum()) / int(candidates.sum())
    assert got == pytest.approx(expected, abs=5 * (expected * (1 - expected) / int(candidates.sum())) ** 0.5)


@pytest.mark.parametrize("c, h, paper, official", [(16, 32, 0.73, 0.03), (32, 16, 0.39, 0.02), (64, 8, 0.02, 0.02)])
def test_share_dropped_with_uniform_positions_is_what_the_design_says(c, h, paper, official):
    """Expected blocks = positions · share of valid centres · channels · rate; overlap takes a little away."""
    n, r, valid = 2500, 8, (h - 7) ** 2 / h**2
    x, alpha = random_features(n, c, h, h)
    for reading, stated, k in (("paper", paper, c // 8), ("official", official, c // 8 + 1)):
        method = CamDrop(reading=reading)
        rate = oracle_rate(np.ones(1), (c, h, h), method)
        blocks = max(1, h * h // r**2) * valid * k * rate
        expected = 100 * blocks * r**2 / (c * h * h)
        assert expected == pytest.approx(stated, abs=0.006 if stated < 0.1 else 0.06)
        got = 100 * method.sample(x, alpha=alpha, generator=generator(1)).dropped.mean().item()
        assert got == pytest.approx(expected, rel=0.1 + 4 / (n * blocks) ** 0.5)


@settings(max_examples=80, deadline=None)
@given(**sizes, keep_prob=options["keep_prob"], name=st.sampled_from(sorted(METHODS)), seed=st.integers(0, 1000))
@example(n=1, c=5, h=7, w=7, r=1, keep_prob=1.0, name="camdrop", seed=0)
def test_every_method_keeps_its_promises(n, c, h, w, r, keep_prob, name, seed):
    x, alpha = random_features(n, c, h, w, seed)
    blocks = {"block_size": r} if name in ("dropblock", "camdrop") else {}
    method = METHODS[name](keep_prob=keep_prob, **blocks)
    mask = method.sample(x, alpha=alpha, generator=generator(seed))
    again = method.sample(x, alpha=alpha, generator=generator(seed))
    assert torch.equal(mask.keep, again.keep) and torch.equal(mask.seeds, again.seeds)
    assert mask.keep.shape == mask.seeds.shape == x.shape and mask.scale.shape == (n, 1, 1, 1)
    torch.testing.assert_close(mask.dropped, 1 - mask.keep.float().mean((1, 2, 3)))
    out = mask.apply(x)
    assert torch.isfinite(out).all()
    torch.testing.assert_close(out, x * mask.keep * mask.scale)
    if keep_prob == 1:
        assert mask.keep.all() and torch.equal(out, x)


def test_expand_against_matrices_drawn_by_hand():
    def picture(text):
        one = torch.tensor([[cell == "#" for cell in row] for row in text.split()])
        none = torch.zeros_like(one)
        return torch.stack([torch.stack(maps) for maps in ([none, one, none], [one, one, none])])

    cases = [
        (3, "..... .#... ..... ..... .....", "###.. ###.. ###.. ..... ....."),  # odd r: centre ± 1
        (2, "..... .#... ..... ..... ....#", "##... ##... ..... ...## ...##"),  # even r: [i − 1, i]
        (4, "..... ..... ..#.. ..... .....", "####. ####. ####. ####. ....."),  # [i − 2, i + 1]
        (3, "....... .#.#... ....... .......", "#####.. #####.. #####.. ......."),  # overlap, H ≠ W
        (1, "#.. ..# ...", "#.. ..# ..."),
        (2, "... ... ..#", "... .## .##"),  # last valid centre of an even block
    ]
    for r, seeds, blocks in cases:
        for layout in (torch.contiguous_format, torch.channels_last):
            assert torch.equal(_expand(picture(seeds).contiguous(memory_format=layout), r), picture(blocks)), (r, seeds)


def test_dominant_positions_and_channels_by_hand():
    x = torch.zeros(1, 4, 4, 4)
    x[0, 1, 1, 2], x[0, 1, 3, 3], x[0, 2, 2, 1] = 5.0, 9.0, 4.0
    alpha = torch.tensor([[0.1, 2.0, 3.0, -1.0]])
    mask = CamDrop(keep_prob=0.0, block_size=2, channel_fraction=1 / 2).sample(x, alpha=alpha)
    assert mask.cam[0, 3, 3] == 18 and mask.cam[0, 2, 1] == 12 and mask.cam[0, 1, 2] == 10
    assert mask.positions[0].sum() == 4 and mask.positions[0, [3, 2, 1], [3, 1, 2]].all()
    assert mask.channels[0].tolist() == [False, True, True, False]
    assert not mask.keep[0, 1, 2:, 2:].any() and mask.keep[0, [0, 3]].all()


def test_dropblock_drops_what_torchvision_drops_in_distribution():
    x = torch.ones(1500, 8, 14, 14)
    torch.manual_seed(0)
    ours = DropBlock(keep_prob=0.8, block_size=5).sample(x, generator=generator()).keep.float()
    theirs = (drop_block2d(x, 0.2, 5) != 0).float()
    assert ours.mean().item() == pytest.approx(theirs.mean().item(), abs=0.003)
    centre, corner = (slice(None), slice(None), 7, 7), (slice(None), slice(None), 0, 0)
    assert ours[centre].mean().item() == pytest.approx(theirs[centre].mean().item(), abs=0.03)
    assert ours[corner].mean().item() == pytest.approx(theirs[corner].mean().item(), abs=0.01)
    pair = lambda keep: ((1 - keep[..., 7, 7]) * (1 - keep[..., 7, 9])).mean().item()  # noqa: E731
    assert pair(ours) == pytest.approx(pair(theirs), abs=0.03)


def test_units_channels_and_paths_are_dropped_whole():
    x = torch.ones(400, 10, 3, 5)
    units = Dropout(keep_prob=0.7).sample(x, generator=generator())
    assert units.dropped.mean().item() == pytest.approx(0.3, abs=0.01)
    maps = SpatialDropout(keep_prob=0.7).sample(x, generator=generator())
    assert (maps.keep.flatten(2).all(2) | ~maps.keep.flatten(2).any(2)).all()
    assert maps.dropped.mean().item() == pytest.approx(0.3, abs=0.03)
    paths = DropPath(keep_prob=0.7).sample(x, generator=generator())
    assert set(paths.dropped.tolist()) == {0.0, 1.0}
    assert paths.dropped.mean().item() == pytest.approx(0.3, abs=0.07)
    for mask in (units, maps, paths):
        assert mask.scale.unique().tolist() == [pytest.approx(1 / 0.7)]
        assert mask.apply(x).mean().item() == pytest.approx(1, abs=0.1)
        assert mask.cam is mask.positions is mask.channels is mask.valid is mask.candidates is None


def test_matched_spends_dropblocks_budget_where_blocks_cannot_overlap():
    x, alpha = random_features(3000, 64, 8, 8)
    full = CamDrop(reading="matched", block_size=1, channel_fraction=1.0, position_fraction=1.0, keep_prob=0.9)
    assert full.sample(x[:50], alpha=alpha[:50], generator=generator()).dropped.mean().item() == pytest.approx(
        0.1, abs=0.003
    )
    # r = 8 on an 8×8 map leaves one valid centre; where it is the dominant one, 8 channels at most can go.
    mask = CamDrop(reading="matched").sample(x, alpha=alpha, generator=generator())
    assert mask.dropped.max().item() == pytest.approx(8 / 64)


def test_no_candidate_drops_nothing():
    x = torch.zeros(1, 8, 8, 8)
    x[:, :, 0, 0] = 1  # the dominant position is a corner, where no block of 8 can be centred
    mask = CamDrop(keep_prob=0.0, block_size=8).sample(x, alpha=torch.ones(1, 8))
    assert not mask.candidates.any() and mask.keep.all() and mask.scale.item() == 1


def test_classifier_width_that_is_no_multiple_of_the_channels():
    assert compress_weights(torch.tensor([[1.0, 2, 3, 4, 5, 6, 7]]), 3).tolist() == [[3, 7, 11]]
    x, _ = random_features(c=6)
    assert CamDrop().sample(x, alpha=compress_weights(torch.randn(2, 16), 6)).keep.shape == x.shape


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Dropout(keep_prob=1.2), ("keep_prob", "1.2", "[0, 1]")),
        (lambda: Dropout(keep_prob=float("nan")), ("keep_prob", "nan")),
        (lambda: DropPath(keep_prob="0.9"), ("keep_prob", "'0.9'")),
        (lambda: DropBlock(block_size=0), ("block_size", "0", "at least 1")),
        (lambda: DropBlock(block_size=2.5), ("block_size", "2.5")),
        (lambda: CamDrop(channel_fraction=0), ("channel_fraction", "(0, 1]")),
        (lambda: CamDrop(position_fraction=1.5), ("position_fraction", "1.5")),
        (lambda: CamDrop(reading="loose"), ("reading", "loose", "paper, official, matched")),
        (lambda: CamDrop(guide="grad"), ("guide", "grad", "cam, mean")),
        (lambda: CamDrop(channels="some"), ("channels", "some", "dominant, all")),
        (lambda: CamDrop().sample(torch.rand(2, 3, 4, 4)), ("alpha", "(2, 3)", "None")),
        (lambda: CamDrop().sample(torch.rand(2, 3, 4, 4), alpha=torch.rand(2, 4)), ("alpha", "(2, 3)", "(2, 4)")),
        (lambda: Dropout().sample(torch.rand(2, 3, 4)), ("x", "(2, 3, 4)")),
        (lambda: Dropout().sample(torch.ones(1, 1, 2, 2, dtype=torch.long)), ("x", "floating-point")),
        (lambda: Dropout().sample(torch.rand(1, 1, 2, 2)).apply(torch.rand(1, 1, 2, 3)), ("(1, 1, 2, 3)", "2, 2)")),
    ],
)  # fmt: skip
def test_errors_name_the_argument_the_value_and_what_is_allowed(make, words):
    with pytest.raises(ValueError) as error:
        make()
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_methods_are_frozen_and_keyword_only():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CamDrop().keep_prob = 0.5
    with pytest.raises(TypeError):
        DropBlock(0.9, 7)
