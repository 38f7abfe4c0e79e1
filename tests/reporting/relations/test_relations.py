"""Relations of made-up results: signs, gaps, and that no number of another view takes part."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from fabricate import frame_of, row

from dgmbench.reporting.comparison.from_records import comparisons
from dgmbench.reporting.relations.markdown import to_markdown, write_relations
from dgmbench.reporting.relations.relations import NOTE, Relation, relations

MODELS = ("a", "b", "c", "d", "e", "f")


def records(view: str = "binary", turned: bool = False, models: tuple[str, ...] = MODELS) -> pd.DataFrame:
    """The likelier the model, the smaller its FID (or the larger, `turned`); within models no relation."""
    rows = []
    for place, model in enumerate(models):
        for seed in range(3):
            noise = (0.0, 0.2, 0.1)[(seed + place) % 3]
            fid = 10.0 + (place if turned else -place) + 0.1 * seed
            rows.append(row(model, seed, "log_likelihood", -90.0 + place + noise, view=view))
            rows.append(row(model, seed, "fid_domain", fid, view=view, unit="1"))
    return frame_of(*rows)


def only(frame: pd.DataFrame) -> Relation:
    (found,) = relations(comparisons(frame), frame, {name: name for name in MODELS})
    (line,) = found.rows
    return line


def test_plus_one_means_that_better_goes_with_better() -> None:
    found = only(records())
    assert (found.first, found.second) == ("log-likelihood", "sample quality (FID)")
    assert found.over_models is not None and round(found.over_models.rho, 9) == 1
    turned = only(records(turned=True))
    assert turned.over_models is not None and round(turned.over_models.rho, 9) == -1


def test_seeds_are_paired_by_seed_whatever_order_records_are_in() -> None:
    frame = records()
    is_fid = frame["metric"] == "fid_domain"
    shuffled = pd.concat([frame[is_fid].iloc[::-1], frame[~is_fid]])
    assert only(shuffled).over_seeds == only(frame).over_seeds is not None


def test_views_are_never_mixed() -> None:
    both = pd.concat([records(), records("gray", turned=True)], ignore_index=True)
    found = {each.view: each for each in relations(comparisons(both), both, {name: name for name in MODELS})}
    apart = {view: found[view].rows[0].over_models for view in ("gray", "binary")}
    assert all(own is not None and own.n == 6 for own in apart.values())
    assert [round(own.rho) for own in apart.values() if own] == [-1, 1]


def test_too_few_models_leave_a_gap_that_says_how_many() -> None:
    found = only(records(models=MODELS[:3]))
    assert found.models == 3 and found.over_models is None
    frame = records(models=MODELS[:3])
    (each,) = relations(comparisons(frame), frame, {name: name for name in MODELS})
    assert "| log-likelihood, sample quality (FID) | – | – | 3 |" in to_markdown(each)


def test_one_seed_leaves_a_gap_over_seeds() -> None:
    frame = records()
    found = only(frame[frame["seed"] == 0])
    assert found.over_models is not None and found.over_seeds is None


def test_an_annealed_bound_of_few_images_has_no_rank_among_exact_values() -> None:
    frame = records(models=(*MODELS, "g"))
    own = (frame["model"] == "g") & (frame["metric"] == "log_likelihood")
    frame.loc[own, ["metric", "kind", "n", "value"]] = ["log_likelihood_ais", "lower_bound", 50, -300.0]
    assert only(frame).models == len(MODELS)
    elbo = frame[own].assign(metric="elbo", n=300, value=-301.0)
    assert only(pd.concat([frame, elbo], ignore_index=True)).models == len(MODELS) + 1
    assert "AIS" in NOTE


def test_a_table_for_each_view(tmp_path: Path) -> None:
    frame = records()
    paths = write_relations(relations(comparisons(frame), frame, {}), tmp_path)
    assert [path.name for path in paths] == ["d-binary-relations.md"]
    text = paths[0].read_text(encoding="utf-8")
    assert text.startswith(
        "| scores | ρ over models | p over models | models | ρ over seeds | p over seeds | models (seeds) |"
    )
    assert "| 1.00 | 0.0028 | 6 |" in text
