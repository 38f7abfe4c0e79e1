"""Models of token sequences: their probabilities add up to 1, and samples come from that distribution."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema, TokenTarget, image_schema
from dgmbench.errors import SettingsError
from dgmbench.models.capabilities import CanComplete, CanEncode, CanSample, HasLogProb
from dgmbench.models.hooks import ClosedForm
from dgmbench.models.registry import family_class
from dgmbench.models.sequence.token_model import TokenModel
from dgmbench.settings.block import checked

PAD, END, UNKNOWN = TokenTarget.PAD, TokenTarget.END, TokenTarget.UNKNOWN
# Tokens 1..4, at most 4 of them: 1 + 3 + 9 + 27 sequences.
TINY = Schema(TokenTarget(length=4, vocabulary=5))
LSTM = {"family": "lstm_lm", "view": "tokens", "embedding": 3, "hidden": 5, "dropout": 0.5}
ENTRIES: dict[str, dict[str, Any]] = {
    "tied": LSTM,
    "tied, equal widths": LSTM | {"hidden": 3},
    "untied, two layers": LSTM | {"tied": False, "layers": 2},
    "unigram": {"family": "token_unigram", "view": "tokens"},
}


def every_sequence() -> Tensor:
    """All sequences that the schema allows, int64 [40, 4]."""
    rows = []
    for words in range(4):
        for chosen in itertools.product((UNKNOWN, 3, 4), repeat=words):
            rows.append([*chosen, END, *[PAD] * (3 - words)])
    return torch.tensor(rows)


def build(entry: str, schema: Schema = TINY) -> TokenModel:
    block = ENTRIES[entry]
    family = family_class(block["family"])
    torch.manual_seed(0)
    model = family(checked(family.Settings, block, "models.it", "here"), schema).double().eval()
    assert isinstance(model, TokenModel)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0, 1.0)  # so that nothing is nearly uniform
    if isinstance(model, ClosedForm):
        x = every_sequence()[[0, 1, 5, 5, 30]]
        model.fit(Batch(x), Batch(x), torch.Generator())
    return model


@pytest.fixture(params=ENTRIES)
def model(request: pytest.FixtureRequest) -> TokenModel:
    return build(request.param)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_probabilities_of_all_sequences_add_up_to_one(model: TokenModel) -> None:
    x = every_sequence()
    probabilities = model.log_prob(x).exp().detach()
    assert len(x) == 40 and probabilities.min() > 0
    assert float(probabilities.sum()) == pytest.approx(1.0, abs=1e-12)


def test_samples_are_drawn_from_that_distribution(model: TokenModel) -> None:
    n = 4000
    drawn = model.sample(n, seeded())
    assert drawn.dtype == torch.int64 and drawn.shape == (n, 4)
    x = every_sequence()
    matches = (drawn[:, None] == x[None]).all(2)
    assert bool((matches.sum(1) == 1).all())  # each is one of the 40
    expected = model.log_prob(x).exp().detach() * n
    common = expected >= 5
    rest = torch.stack([expected[~common].sum(), matches.sum(0)[~common].sum()])
    expected = torch.cat([expected[common], rest[:1]])
    found = torch.cat([matches.sum(0)[common].double(), rest[1:]])
    expected, found = expected[expected > 1], found[expected > 1]
    chi_square = float(((found - expected).square() / expected).sum())
    freedom = len(expected) - 1
    assert chi_square < freedom + 5 * math.sqrt(2 * freedom)


def test_samples_follow_from_the_generator(model: TokenModel) -> None:
    state = torch.get_rng_state()
    assert torch.equal(model.sample(50, seeded(1)), model.sample(50, seeded(1)))
    assert not torch.equal(model.sample(50, seeded(1)), model.sample(50, seeded(2)))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_completion_keeps_the_beginning_and_follows_the_conditional(model: TokenModel) -> None:
    x = torch.tensor([[3, 4, 0, 0]]).repeat(4000, 1)
    given = torch.tensor([[True, False, False, False]])
    drawn = model.complete(x, given, seeded())
    assert bool((drawn[:, 0] == 3).all())
    every = every_sequence()
    begun = every[every[:, 0] == 3]
    conditional = model.log_prob(begun).softmax(0)
    found = (drawn[:, None] == begun[None]).all(2).double().mean(0)
    assert float(found.sum()) == pytest.approx(1.0)
    error = (conditional * (1 - conditional) / 4000).sqrt()
    assert bool(((found - conditional).abs() < 5 * error + 1e-3).all())
    # What is given to its end comes back.
    assert torch.equal(model.complete(every, torch.ones(4, dtype=torch.bool), seeded()), every)


def test_the_loss_is_the_mean_negative_log_likelihood_per_sequence(model: TokenModel) -> None:
    x = every_sequence()[[0, 2, 7, 30]]
    losses = model.validation_losses(Batch(x, mask=x != PAD), seeded())
    nats = -model.log_prob(x).sum()
    assert float(losses["loss"]) == pytest.approx(float(nats) / 4)
    assert float(losses["nats_per_token"]) == pytest.approx(float(nats) / (1 + 2 + 3 + 4))


def test_capabilities(model: TokenModel) -> None:
    for capability in (CanSample, HasLogProb, CanComplete):
        assert isinstance(model, capability)


def test_likelihoods_do_not_depend_on_who_else_is_in_the_batch(
    model: TokenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = every_sequence()
    whole = model.log_prob(x)
    monkeypatch.setattr("dgmbench.models.sequence.token_model.MEASURED_AT_ONCE", 7)
    torch.testing.assert_close(model.log_prob(x), whole)
    torch.testing.assert_close(model.log_prob(x[:1]), whole[:1])


@pytest.mark.parametrize("entry", ENTRIES)
def test_weights_load(entry: str) -> None:
    model, other = build(entry), build(entry)
    for value in other.state_dict().values():
        value.zero_()
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.log_prob(every_sequence()), model.log_prob(every_sequence()))


def test_the_unigram_is_the_smoothed_counts() -> None:
    model = build("unigram")
    # Sequences 0 and 1 are (END), (UNKNOWN END); 5 is (UNKNOWN 3 END), twice; 30 is (3 4 4 END), whose end is
    # in the last place and costs nothing.
    counts = {END: 4, UNKNOWN: 3, 3: 3, 4: 2}
    total = 12 + 4 * 0.01
    x = every_sequence()
    assert x[5].tolist() == [UNKNOWN, 3, END, PAD] and x[30].tolist() == [3, 4, 4, END]
    expected = math.log((counts[3] + 0.01) / total) + math.log((counts[END] + 0.01) / total)
    assert float(model.log_prob(torch.tensor([[3, END, PAD, PAD]]))) == pytest.approx(expected)
    assert model.parameter_count() == 3


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry != "unigram"])
class TestLstm:
    """What holds of the LSTM alone."""

    def test_the_gradient_without_dropout_is_right(self, entry: str) -> None:
        model = build(entry)
        x = every_sequence()[[2, 7, 30]]
        names, parameters = zip(*model.named_parameters(), strict=True)

        def loss(*values: Tensor) -> Tensor:
            named = dict(zip(names, values, strict=True))
            found = torch.func.functional_call(model, named, (Batch(x), "model", None))  # type: ignore[arg-type]
            return found["loss"]

        assert torch.autograd.gradcheck(loss, parameters)

    def test_dropout_follows_from_the_generator_and_is_not_in_validation(self, entry: str) -> None:
        model = build(entry).train()
        batch = Batch(every_sequence())
        state = torch.get_rng_state()
        one, same, other = (float(model.step(batch, "model", seeded(i))["loss"]) for i in (1, 1, 2))
        assert one == same != other
        still = [float(model.validation_losses(batch, seeded(i))["loss"]) for i in (1, 2)]
        assert still[0] == still[1]
        assert torch.equal(torch.get_rng_state(), state)

    def test_dropout_keeps_the_mean(self, entry: str) -> None:
        model: Any = build(entry)
        dropped = model._dropped(torch.ones(200, 500, dtype=torch.float64), seeded())
        assert set(dropped.unique().tolist()) == {0.0, 2.0}
        assert float(dropped.mean()) == pytest.approx(1.0, abs=5 / math.sqrt(1e5))

    def test_features_depend_on_the_words_and_not_on_padding(self, entry: str) -> None:
        model = build(entry)
        assert isinstance(model, CanEncode)
        x = torch.tensor([[3, 4, END, PAD], [3, 4, UNKNOWN, END], [END, PAD, PAD, PAD]])
        features = model.encode(x)
        assert features.shape == (3, ENTRIES[entry]["hidden"])
        assert not torch.allclose(features[0], features[1])
        torch.testing.assert_close(model.encode(x[:1]), features[:1])

    def test_parameters_are_counted_once(self, entry: str) -> None:
        model, block = build(entry), ENTRIES[entry]
        e, h, layers = block["embedding"], block["hidden"], block.get("layers", 1)
        lstm = sum(4 * h * (width + h + 2) for width in [e, *[h] * (layers - 1)])
        tables = 5 * e * (1 if block.get("tied", True) else 2)
        assert model.parameter_count() == lstm + tables + 5 + (0 if e == h else h * e)


def test_settings_are_checked() -> None:
    family = family_class("lstm_lm")
    with pytest.raises(SettingsError, match="dropout"):
        checked(family.Settings, LSTM | {"dropout": 1.0}, "models.it", "here")
    settings = checked(family.Settings, LSTM, "models.it", "here")
    with pytest.raises(ValueError, match="takes tokens, not images"):
        family(settings, image_schema((1, 2, 2), 17))


def test_a_small_lstm_learns_what_a_unigram_cannot() -> None:
    """Words alternate: 3 4 3 ... or 4 3 4 ..., which costs log 2 and the choice of an end."""
    x = torch.tensor([[3, 4, 3, END], [4, 3, 4, END]]).repeat(8, 1)
    model = build("tied, equal widths").float()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(150):
        loss = model.validation_losses(Batch(x), seeded())["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) == pytest.approx(math.log(2), abs=0.05)
    unigram = build("unigram")
    assert isinstance(unigram, ClosedForm)
    assert unigram.fit(Batch(x), Batch(x), seeded())["loss"] == pytest.approx(3 * math.log(2), abs=0.01)
