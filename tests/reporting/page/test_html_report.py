"""The page: self-contained, complete, escaped, with warnings where they are due."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fabricate import VIEWS, fabricate, plant
from PIL import Image
from reading import Page, bare, write

from dgmbench.claims.claim import VERDICTS
from dgmbench.errors import CheckpointError
from dgmbench.files import write_json
from dgmbench.reporting.findings import ControlFinding, to_markdown
from dgmbench.reporting.page.facts import duration
from dgmbench.reporting.page.topics import PUBLISHED
from dgmbench.reporting.page.warnings import not_measured
from dgmbench.results import read_records


def small(settings: dict[str, Any], *models: str) -> dict[str, Any]:
    """Settings of fewer models, for tests that need not draw all."""
    return settings | {"models": {name: settings["models"][name] for name in models or ("vae", "gan")}}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Page]:
    root = tmp_path_factory.mktemp("report")
    out = write(root, fabricate(root))
    return out, Page((out / "index.html").read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_elsewhere(written: tuple[Path, Page]) -> None:
    out, page = written
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed")
        assert (attributes.get("src") or "data:").startswith("data:")
        assert "srcset" not in attributes
    source = (out / "index.html").read_text(encoding="utf-8")
    assert "url(" not in source
    assert "@import" not in source


def test_all_images_are_whole_and_described(written: tuple[Path, Page]) -> None:
    images = [attributes for tag, attributes in written[1].tags if tag == "img"]
    figures = [attributes for attributes in images if "width" not in attributes]
    # Likelihoods, convergence and curves; test data, samples, neighbours; a control's plots and two sheets.
    assert len(figures) >= 2 * 3 + 2 + 6 + 6 + 3
    assert len({a["src"] for a in figures}) == len(figures), "a figure is embedded twice"
    for attributes in images:
        data = base64.b64decode((attributes["src"] or "").partition("base64,")[2], validate=True)
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "WEBP"
            image.load()
        assert attributes["alt"]


def test_links_lead_somewhere(written: tuple[Path, Page]) -> None:
    out, page = written
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    for tag, attributes in page.tags:
        target = attributes.get("href") or ""
        if tag == "a" and target.startswith("#"):
            assert target[1:] in ids
        elif tag == "a" and not target.startswith("https://"):
            assert (out / target).exists()


def test_every_model_and_the_diverged_run_are_there(written: tuple[Path, Page]) -> None:
    text = written[1].text
    assert all(model in text for model in VIEWS)
    assert "1 of 3 seeds diverged" in text
    assert "gan seed 2 on digits diverged: loss is not a number at step 300." in text
    assert "CC BY 4.0" in text
    assert "a classifier that is right about 97.3 % of the 300 gray test images" in text


def test_a_control_is_told_with_its_claim_outcome_and_numbers(written: tuple[Path, Page]) -> None:
    text = " ".join(written[1].text.split())
    assert "Planted <copies> & noise supported" in text
    assert "A metric is fooled by planted copies. (Nobody et al. 2016, section 3)" in text
    assert "Copies score 12.0 nats, 3.0 above the truth." in text
    # A row of its numbers, cell by cell.
    assert re.search(r"copies, m=100Parzen \(nats\)\* 1[12]\.\d+ ± \d\.\d+ \(\d\.\d+\)heuristic3300", text)
    badges = [a["class"] for tag, a in written[1].tags if tag == "span" and "badge" in (a.get("class") or "")]
    assert badges[-1] == "badge supported"
    described = [a["alt"] or "" for tag, a in written[1].tags if tag == "img"]
    assert any("k-means centres: 10 at 100, 12 at 1,000, 12.5 at 10,000" in alt for alt in described)


@pytest.mark.parametrize("outcome", ["contradicted", "undecided"])
def test_an_outcome_against_the_claim_is_not_hidden(tmp_path: Path, outcome: Any) -> None:
    settings = fabricate(tmp_path, seeds=(0,))
    plant(tmp_path / "results", "digits", outcome=outcome)
    assert ("span", {"class": f"badge {outcome}"}) in bare(tmp_path, settings).tags


def test_no_controls_no_section(tmp_path: Path) -> None:
    settings = fabricate(tmp_path, seeds=(0,))
    assert any(a.get("id") == "digits-controls" for _, a in bare(tmp_path, settings).tags)
    none = bare(tmp_path, settings | {"controls": {}})
    assert not any("control" in (a.get("id") or "") for _, a in none.tags)
    assert "Controls" not in none.text


def test_the_binarisation_is_in_the_heading(written: tuple[Path, Page]) -> None:
    said = "binary view: binarised afresh in training, fixed by the data seed in validation and test"
    assert f"digits, {said}" in written[1].text
    markdown = (written[0] / "tables" / "digits-binary.md").read_text(encoding="utf-8")
    assert f"- {said[0].upper()}{said[1:]}." in markdown


def test_titles_are_escaped(written: tuple[Path, Page]) -> None:
    source = (written[0] / "index.html").read_text(encoding="utf-8")
    assert "Optical digits &lt;8x8&gt; &amp; friends" in source
    assert "<8x8>" not in source


def test_tables_scroll_by_keyboard(written: tuple[Path, Page]) -> None:
    boxes = [attributes for _, attributes in written[1].tags if attributes.get("class") == "scroll"]
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)
    named = [str(box["aria-label"]) for box in boxes]
    topics = ["Likelihood", "Sample quality", "Memorisation", "Cost"]
    views = [name for name in named if "gray view" in name]
    assert views == [f"{t}, digits, gray view" for t in ("Families", "Rank correlations", *topics)]
    assert len(set(named)) == len(named) > 2 * len(topics)


def test_what_a_head_says_on_hovering_is_also_reached_without_a_pointer(written: tuple[Path, Page]) -> None:
    _, page = written
    helps = {a["title"] for tag, a in page.tags if tag == "th" and a.get("scope") == "col" and a.get("title")}
    explained = page.text.split("What the columns mean")[1:]
    told = {" ".join(text.split()) for text in helps - {PUBLISHED}}
    assert len(told) > 10
    assert all(any(text in " ".join(part.split()) for part in explained) for text in told)


def test_files_beside_the_page(written: tuple[Path, Page]) -> None:
    out = written[0]
    frame = read_records(out / "results.csv")
    parts = {"control/planted/copies, m=100", "control/planted/truth"}
    assert set(frame["model"]) == {*VIEWS, "classifier", *parts}
    rows = {path.relative_to(out / "metrics").as_posix() for path in (out / "metrics").rglob("*.json")}
    assert rows == {f"digits/{model}.json" for model in VIEWS}
    assert set(pd.read_csv(out / "headlines.csv")["model"]) <= set(VIEWS)
    assert {p.name for p in (out / "tables").iterdir()} == {
        "digits-answer.md",
        "digits-claims.md",
        "digits-controls.md",
        "digits-binary-relations.md",
        "digits-gray-relations.md",
        *(f"digits-{view}.{suffix}" for view in ("binary", "gray", "labels") for suffix in ("csv", "md")),
    }


def test_an_attack_in_a_result_file_stays_text(tmp_path: Path) -> None:
    settings = small(fabricate(tmp_path, seeds=(0,), diverged=(("gan", 0),)))
    path = tmp_path / "runs" / "digits" / "gan" / "run-0.json"
    attack = "<script>alert(1)</script>"
    write_json(path, json.loads(path.read_text()) | {"reason": attack, "device": '"><img src=x>'})
    manifest = tmp_path / "data" / "digits" / "manifest.json"
    write_json(manifest, json.loads(manifest.read_text()) | {"homepage": "javascript:alert(1)"})
    page = Page((write(tmp_path, settings) / "index.html").read_text(encoding="utf-8"))
    assert attack in page.text
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}]
    assert page.text.count("<img src=x>") >= 1
    assert all((a.get("src") or "data:").startswith("data:") for _, a in page.tags)
    assert all(not (a.get("href") or "").startswith("javascript") for _, a in page.tags)
    assert "One seed per model" in page.text


def test_stale_data_and_missing_runs_are_told_and_old_files_go(tmp_path: Path) -> None:
    settings = small(fabricate(tmp_path, seeds=(0, 1)), "vae", "gan")
    out = write(tmp_path, settings)
    (tmp_path / "runs" / "digits" / "vae" / "run-1.json").unlink()
    path = tmp_path / "runs" / "digits" / "vae" / "run-0.json"
    write_json(path, json.loads(path.read_text()) | {"data_sha256": "0" * 64})
    del settings["models"]["gan"]
    text = Page((write(tmp_path, settings) / "index.html").read_text(encoding="utf-8")).text
    assert "Runs are missing: vae seed 1 on digits." in text
    assert "Trained on other digits data than is now in data/: vae seed 0." in text
    assert not list((out / "figures").glob("*gan*"))


def test_missing_results_stop_before_anything_is_written(tmp_path: Path) -> None:
    settings = fabricate(tmp_path, seeds=(0,))
    for name in ("control-planted", "vae"):
        shutil.rmtree(tmp_path / "results" / "digits" / name)
        with pytest.raises(CheckpointError, match=name):
            write(tmp_path, settings)
    assert not (tmp_path / "reports").exists()


def test_rendering_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    settings = small(fabricate(tmp_path, seeds=(0,)), "vae")
    first = (write(tmp_path, settings) / "index.html").read_bytes()
    assert (write(tmp_path, settings) / "index.html").read_bytes() == first


@pytest.mark.parametrize(("seconds", "said"), [(12, "12 s"), (200, "3 min 20 s"), (3720, "1 h 02 min")])
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_results_csv_loses_nothing(written: tuple[Path, Page]) -> None:
    out = written[0]
    again = pd.read_csv(out / "results.csv")
    source = out.parent.parent / "results" / "digits" / "vae" / "results.csv"
    first = pd.read_csv(source)
    kept = again[again["model"] == "vae"].reset_index(drop=True)
    assert kept["value"].tolist() == first["value"].tolist()


def test_uncommitted_changes_are_told(tmp_path: Path) -> None:
    settings = small(fabricate(tmp_path, seeds=(0, 1), diverged=()), "vae")
    path = tmp_path / "runs" / "digits" / "vae" / "run-0.json"
    info = json.loads(path.read_text())
    write_json(path, info | {"commit": info["commit"] + "-dirty"})
    text = bare(tmp_path, settings).text
    assert "0123456789ab with uncommitted changes" in text
    assert "trained with uncommitted changes" in text
    assert "different commits" in text


def test_what_could_not_be_measured_is_said_once_for_all_models_and_seeds() -> None:
    few = {"dataset": "digits", "metric": "c_t", "reason": "no cell has more than 20 images."}
    left_out = [
        few | {"model": "vae", "seed": 1},
        few | {"model": "vae", "seed": 2},
        few | {"model": "dae/chain", "seed": 1},
        few | {"metric": "probes", "model": "vae", "seed": 1},
    ]
    first, second = not_measured(left_out)
    assert first == (
        "c_t on digits left out for vae (seed 1, 2), dae/chain (seed 1): no cell has more than 20 images."
    )
    assert second == "probes on digits left out for vae (seed 1): no cell has more than 20 images."


def test_the_page_shows_what_evaluations_left_out(tmp_path: Path) -> None:
    settings = small(fabricate(tmp_path))
    told = [{"model": "vae", "seed": 1, "metric": "c_t", "reason": "<few> samples"}]
    write_json(tmp_path / "results" / "digits" / "vae" / "left-out.json", told)
    page = Page((write(tmp_path, settings) / "index.html").read_text(encoding="utf-8"))
    assert "c_t on digits left out for vae (seed 1): <few> samples." in page.text


def test_controls_stand_beside_the_tables_as_a_page_that_git_can_keep(written: tuple[Path, Page]) -> None:
    out, _ = written
    page = (out / "tables" / "digits-controls.md").read_text(encoding="utf-8")
    metrics = (out / "results.csv").read_text(encoding="utf-8")
    assert "control/" in metrics and page.startswith("# Controls\n\n## ")
    assert "Claim: " in page and (any(f"**{verdict.capitalize()}.**" in page for verdict in VERDICTS))


def test_a_finding_s_table_is_one_of_markdown() -> None:
    finding = ControlFinding("digits", "c", "T", "It is so", "A 2000", "supported", "It was.", (), (),
                             (("objective", "runs"), ("a|b", "3")))  # fmt: skip
    assert to_markdown([finding]) == (
        "# Controls\n\n## T\n\nClaim: It is so (A 2000)\n\n**Supported.** It was.\n\n"
        "| objective | runs |\n| --- | --- |\n| a\\|b | 3 |\n"
    )
