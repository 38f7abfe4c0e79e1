"""The answer: one entry stands for a family, marks and sentences where intervals separate, honest gaps."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from answers import FAMILIES, answer_of, records
from fabricate import row

from dgmbench.reporting.answer.answer import RULE, Answer, Family, answers
from dgmbench.reporting.answer.markdown import to_markdown, write_answers
from dgmbench.reporting.answer.sentences import said_of
from dgmbench.reporting.answer.standing import Standing
from dgmbench.reporting.answer.words import beside
from dgmbench.reporting.comparison.cells import Column
from dgmbench.reporting.comparison.from_records import comparisons
from dgmbench.reporting.comparison.reference import Reference


def family(answer: Answer, name: str) -> Family:
    return next(each for each in answer.families if each.row.model == name)


def said(answer: Answer, name: str) -> str:
    return said_of(family(answer, name), answer)


def with_rows(frame: pd.DataFrame, *rows: dict[str, object]) -> pd.DataFrame:
    return pd.concat([frame, pd.DataFrame(rows)], ignore_index=True)


def test_the_first_entry_of_a_family_stands_for_it_even_where_another_is_better() -> None:
    answer = answer_of(records())
    assert [each.row.model for each in answer.families] == ["vae", "gan", "pixelcnn"]
    assert [each.name for each in answer.families] == ["VAE", "GAN", "PixelCNN"]
    # The variant of the highest likelihood takes no part, and so does not take the mark.
    assert family(answer, "pixelcnn").standings["likelihood"].is_best


def test_families_stand_in_the_order_of_their_entries_in_the_view() -> None:
    # A family of another view comes first in the settings; here it has a later entry.
    families = {"gan_gray": "gan", **FAMILIES}
    answer = answer_of(records(), families)
    assert [each.row.model for each in answer.families] == ["vae", "gan", "pixelcnn"]


def test_a_row_holds_three_to_seven_numbers_of_the_aspects_that_were_measured() -> None:
    answer = answer_of(records())
    names = ["likelihood", "sample quality", "memorisation", "downstream error", "sampling speed"]
    assert list(answer.columns) == names
    assert list(family(answer, "vae").cells) != [] and len(family(answer, "vae").cells) == 5
    assert "likelihood" not in family(answer, "gan").cells


def test_sentences_say_what_is_clearly_best_and_worst() -> None:
    answer = answer_of(records())
    assert said(answer, "gan").startswith("has the best samples (FID (domain) 3.00")
    assert said(answer, "vae").startswith("has the lowest likelihood (= −90.0")
    assert "and the worst samples (FID (domain) 9.0" in said(answer, "vae")
    assert said(answer, "pixelcnn").startswith("has the highest likelihood (= −80.0")
    assert ", but the slowest sampling (10.0" in said(answer, "pixelcnn")


def bounded(*models: str) -> pd.DataFrame:
    """Records in which some models have a lower bound of the likelihood alone."""
    frame = records()
    own = frame["model"].isin(models) & (frame["metric"] == "log_likelihood")
    frame.loc[own, ["metric", "kind"]] = ["elbo", "lower_bound"]
    return frame


def test_a_bound_that_is_lower_does_not_lose() -> None:
    answer = answer_of(bounded("vae"))
    above, below = (family(answer, name).standings["likelihood"] for name in ("pixelcnn", "vae"))
    assert (above.beaten, above.above, above.is_best) == (0, 1, False)
    assert (below.beaten_by, below.below, below.is_worst) == (0, 1, False)
    assert said(answer, "pixelcnn").startswith(
        "has the highest of the exact values and bounds of the likelihood (= −80.0"
    )
    assert "the lowest of the exact values and bounds of the likelihood (≥ −90.0" in said(answer, "vae")
    assert "**= −80" not in to_markdown([answer])


def test_a_bound_above_an_exact_value_is_proven_to_be_better() -> None:
    answer = answer_of(bounded("pixelcnn"))
    assert said(answer, "pixelcnn").startswith("has the highest likelihood (≥ −80.0")
    assert said(answer, "vae").startswith("has the lowest likelihood (= −90.0")
    assert "**≥ −80.0" in to_markdown([answer])


def placed(*standings: Standing) -> Family:
    """A family with standings in likelihood, sample quality and downstream error."""
    own = family(answer_of(records()), "vae")
    names = ("likelihood", "sample quality", "downstream error")
    own.standings = dict(zip(names, standings, strict=False))
    return own


def test_both_counts_are_said() -> None:
    answer = answer_of(records())
    own = placed(Standing(4, 3, 7, 4, 3), Standing(2, 2, 7, 2, 2), Standing(0, 1, 7, 0, 1))
    assert said_of(own, answer) == (
        "clearly beats 4 and loses to 3 of 7 in likelihood, beats 2 and loses to 2 of 7 in sample quality "
        "and loses to 1 of 7 in downstream error."
    )


def test_only_what_beats_and_loses_to_none_is_clearly_separated_from_none() -> None:
    answer = answer_of(records())
    nothing = "is clearly separated from no other family."
    assert said_of(placed(Standing(0, 0, 7), Standing(0, 0, 7)), answer) == nothing
    assert said_of(placed(Standing(1, 1, 7, 1, 1), Standing(0, 0, 7)), answer) != nothing


def test_the_count_of_lower_bounds_is_no_count_of_losses() -> None:
    assert said_of(placed(Standing(1, 0, 7, 2, 4)), answer_of(records())) == (
        "clearly beats 1 of 7 in likelihood; its bound of the likelihood lies below 4 of 7 others."
    )


def test_comparisons_of_a_family_hold_together() -> None:
    # 8.9, 9.0 and 9.1 against 8.6, 8.7 and 8.8: clear at 95 %, t = 3.67 with 4 degrees of freedom.
    values = {"vae": (8.6, 8.7, 8.8), "gan": (8.9, 9.0, 9.1), "pixelcnn": (30.0, 31.0, 32.0)}
    frame = records()
    for model, own in values.items():
        frame.loc[(frame["model"] == model) & (frame["metric"] == "fid_domain"), "value"] = own
    pair = answer_of(frame[frame["model"] != "pixelcnn"])
    assert family(pair, "vae").standings["sample quality"].beaten == 1
    frame = pd.concat([frame, *(frame[frame["model"] == "pixelcnn"].assign(model=f"p{i}") for i in range(3))])
    families = FAMILIES | {f"p{i}": f"p{i}" for i in range(3)}
    (several,) = answers(comparisons(frame, list(families)), frame, families)
    assert family(several, "vae").standings["sample quality"].beaten == 4, "without the GAN"
    assert "Bonferroni" in RULE


def test_timings_need_a_factor_beyond_their_interval() -> None:
    standings = {name: family(answer_of(records()), name).standings for name in ("vae", "gan")}
    # 1,000 against 1,100 images a second, each known to a permille.
    assert not standings["gan"]["sampling speed"].is_best
    assert standings["gan"]["sampling speed"].beaten == standings["vae"]["sampling speed"].beaten == 1


def test_a_time_of_zero_is_compared_with_nothing() -> None:
    answer = answer_of(records(sampling_rate={"gan": 0.0}))
    assert family(answer, "gan").standings["sampling speed"].beaten_by == 0
    assert family(answer, "vae").standings["sampling speed"].beaten == 1


def test_nothing_stands_out_where_intervals_overlap() -> None:
    wide = records(sampling_rate={"pixelcnn": 900.0})
    own = wide["metric"].isin(["fid_domain", "log_likelihood", "sampling_rate"])
    wide.loc[own, "value"] += wide.loc[own, "value"].abs() * 0.9 * (wide.loc[own, "seed"] - 1)
    answer = answer_of(wide)
    assert not any(s.is_best or s.is_worst for f in answer.families for s in f.standings.values())
    assert said(answer, "gan") == "is clearly separated from no other family."
    assert "**" not in to_markdown([answer]).split("\n\n")[1]


def test_one_seed_separates_nothing() -> None:
    answer = answer_of(records(seeds=1))
    assert said(answer, "vae") == (
        "has one seed, so that no difference is clear: likelihood (= −89.9 ± 0.02 nats), "
        "sample quality (FID (domain) 8.99) and downstream error (20.0 ± 2.0 %, probe)."
    )
    assert "1 seed" in to_markdown([answer])
    assert "**" not in to_markdown([answer]).split("\n\n")[1]


def test_a_failed_family_keeps_its_row_and_says_why() -> None:
    frame = records()
    flags = [row("gan", seed, "diverged", 1.0, unit="1", split="train") for seed in range(3)]
    answer = answer_of(with_rows(frame[frame["model"] != "gan"], *flags))
    assert said(answer, "gan") == "left no numbers: 3 of 3 seeds diverged."
    assert "| GAN (3 of 3 seeds diverged) | – | – | – | – | – |" in to_markdown([answer])


@pytest.mark.parametrize("value", [-math.inf, math.inf, math.nan])
def test_what_is_not_finite_is_a_gap_that_says_so(value: float) -> None:
    frame = records()
    own = (frame["model"] == "vae") & (frame["metric"] == "fid_domain") & (frame["seed"] == 1)
    frame.loc[own, "value"] = value
    answer = answer_of(frame)
    assert "sample quality" not in family(answer, "vae").cells
    assert family(answer, "gan").standings["sample quality"].others == 1
    text = to_markdown([answer])
    assert "| VAE (FID (domain) not finite) |" in text
    assert "inf" not in text.replace("not finite", "") and "nan" not in text


def test_a_metric_that_nobody_has_has_no_column() -> None:
    frame = records()
    answer = answer_of(frame[frame["metric"] != "fid_domain"])
    assert "sample quality" not in answer.columns
    assert "sample quality" not in to_markdown([answer])


def test_samples_nearer_than_unseen_images_are_a_hint_of_copying() -> None:
    answer = answer_of(records(nn_distance_ratio={"vae": 0.5}))
    assert "draws nearer to training images than unseen images lie (0.500 ± 0.001" in said(answer, "vae")
    assert "draws nearer" not in said(answer, "gan")


def test_an_own_classifier_and_a_probe_are_told_apart() -> None:
    rows = [row("gan", seed, "ssl_error_100", 4.0 + 0.1 * seed, unit="percent") for seed in range(3)]
    answer = answer_of(with_rows(records(), *rows))
    text = to_markdown([answer])
    lines = {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| ")}
    assert "20.0 ± 2.0 probe |" in lines["| VAE"]
    assert "probe" not in lines["| GAN"]
    assert "linear probe" in RULE


def test_classifiers_of_labels_are_no_row() -> None:
    rows = [row("mlp", seed, "ssl_error_100", 4.0 + seed, unit="percent") for seed in range(3)]
    answer = answer_of(with_rows(records(), *rows), FAMILIES | {"mlp": "mlp"})
    assert "mlp" not in [each.row.model for each in answer.families]


def test_published_figures_stand_beside_ours() -> None:
    frame = records().assign(dataset="mnist")
    (answer,) = answers(comparisons(frame, list(FAMILIES)), frame, FAMILIES)
    table = to_markdown([answer]).split("\n\n")[1]
    assert table.splitlines()[0].endswith("| published |")
    assert "IS-5000 ≥ −86.76 nats (" in table


def test_a_published_figure_in_its_column_leaves_out_what_the_head_says() -> None:
    found = Reference("d", "gray", "m2", "ssl_error_100", 11.97, 1.71, "percent", "exact", "p", "s", "V")
    assert beside(found, Column("probe_error_100", "percent")) == "11.97 ± 1.71"
    bound = Reference("d", "binary", "vae", "log_likelihood_is_5000", -86.76, None, "nats", "lower_bound",
                      "p", "s", "V")  # fmt: skip
    assert beside(bound, Column("log_likelihood", "nats")) == "IS-5000 ≥ −86.76"


def test_a_page_of_markdown_for_each_data_set(tmp_path: Path) -> None:
    (path,) = write_answers([answer_of(records())], tmp_path)
    text = path.read_text(encoding="utf-8")
    assert path.name == "d-answer.md"
    assert text.startswith("## binary view\n\n| family | likelihood ↑, nats |")
    assert "- **PixelCNN** has the highest likelihood" in text
