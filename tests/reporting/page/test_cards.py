"""Claims on the page: verdict, statistic, source, hypothesis, a picture or a gap, and links to rows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from reading import Page, whole_page

from dgmbench.claims.card import Card
from dgmbench.claims.lecture import CLAIMS
from dgmbench.reporting.claims import to_markdown, write_cards
from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.page.cards import card_view, pictured
from dgmbench.reporting.page.images import figure_anchor
from dgmbench.reporting.page.places import Places


def card(**other: object) -> Card:
    base = {"name": "c", "dataset": "digits", "text": "A | B", "source": "slide", "hypothesis": "by how much",
            "verdict": "supported", "statistic": "a_b of 1 ± 2."}  # fmt: skip
    return Card(**(base | other))  # type: ignore[arg-type]


def picture(
    tmp_path: Path, role: str, view: str = "gray", title: str = "", model: str | None = None
) -> Picture:
    path = tmp_path / f"{role}-{view}-{title}-{model}.png"
    Image.new("RGB", (900, 2000), "red").save(path)
    return Picture(path, role, "digits", view, title, "what it shows", model)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return whole_page(tmp_path_factory.mktemp("cards"))


def test_every_claim_has_a_card_with_its_verdict_source_and_hypothesis(page: Page) -> None:
    text = " ".join(page.text.split())
    assert len([a for tag, a in page.tags if (a.get("class") or "").startswith("claim ")]) == len(CLAIMS)
    for claim in CLAIMS:
        assert claim.text in text and claim.source in text and claim.hypothesis in text


def test_an_undecided_claim_says_what_would_decide_it_and_that_there_are_no_numbers(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "What would decide it: the control gan_ring (pipeline digits-controls)." in text
    assert "No numbers of it in this run." in text
    assert re.search(
        r"\d+ supported, \d+ contradicted, \d+ undecided \(\d+ of these without numbers\)\.", text
    )


def test_cards_lead_to_rows_and_figures_that_are_there(page: Page) -> None:
    ids = {a["id"] for _, a in page.tags if "id" in a}
    links = re.findall(r'<article class="claim.*?</article>', page.source, re.S)
    targets = [target for article in links for target in re.findall(r'href="#([^"]+)"', article)]
    assert len(targets) > len(CLAIMS)
    assert set(targets) <= ids


def test_the_picture_is_of_the_role_view_subject_and_metric(tmp_path: Path) -> None:
    there = [
        picture(tmp_path, "quality", "gray", "FID over n"),
        picture(tmp_path, "quality", "gray", "precision and recall"),
        picture(tmp_path, "quality", "binary", "precision and recall"),
        picture(tmp_path, "labels", "labels"),
        picture(tmp_path, "control", "gray", "x", "one"),
        picture(tmp_path, "control", "gray", "x", "two"),
        picture(tmp_path, "all samples", "gray"),
    ]
    assert pictured(card(picture="quality", view="gray", metrics=("recall",)), there) == there[1]
    assert pictured(card(picture="quality", view="binary", metrics=("fid_domain",)), there) == there[2]
    assert pictured(card(picture="labels", view="gray"), there) == there[3]
    assert pictured(card(picture="control", pictured="two"), there) == there[5]
    assert pictured(card(picture="control", pictured="three"), there) is None
    assert pictured(card(picture="all samples", view="gray"), there) == there[6]
    strip = picture(tmp_path, "strip", "gray")
    assert pictured(card(picture="all samples", view="gray"), [*there, strip]) == strip
    assert pictured(card(), there) is None


def test_a_thumbnail_is_small(tmp_path: Path) -> None:
    view = card_view(card(picture="strip"), [picture(tmp_path, "strip")], Places({}))
    assert (view["picture"]["width"], view["picture"]["height"]) == (360, 230)
    assert view["picture"]["alt"] == "what it shows"
    assert card_view(card(), [], Places({}))["picture"] is None


def test_a_card_about_samples_shows_those_of_its_models(tmp_path: Path) -> None:
    there = [picture(tmp_path, "samples", "gray", name, name) for name in ("vae", "gan", "ppca")]
    there += [picture(tmp_path, "samples", "binary", "gan", "gan"), picture(tmp_path, "strip", "gray")]
    view = card_view(card(picture="all samples", view="gray", models=("gan", "vae")), there, Places({}))
    assert [sheet["title"] for sheet in view["sheets"]] == ["gan", "vae"] and view["picture"] is None
    assert view["sheets"][0]["href"] == f"#{figure_anchor(there[1])}"
    bare = card_view(card(picture="all samples", view="gray", models=("kde",)), there, Places({}))
    assert bare["sheets"] == [] and bare["picture"]["title"] == there[-1].title


def test_parts_of_a_control_lead_to_it_once() -> None:
    models = ("control/gan_ring/a", "control/gan_ring/b")
    assert card_view(card(models=models), [], Places({}))["rows"] == [
        {"name": "gan_ring", "href": "#digits-control-gan_ring"}
    ]


def test_markdown_has_a_verdict_and_the_numbers_of_each_claim(tmp_path: Path) -> None:
    cards = [card(), card(verdict="undecided", statistic="", decider="more seeds")]
    table, first, second = to_markdown(cards).rstrip("\n").split("\n\n")
    assert table.splitlines() == [
        "| claim | verdict |",
        "| --- | --- |",
        r"| A \| B | **supported** |",
        r"| A \| B | undecided |",
    ]
    assert first == r"**A \| B** a\_b of 1 ± 2."
    assert second == r"**A \| B** Would decide it: more seeds."
    paths = write_cards([*cards, card(dataset="mnist")], tmp_path)
    assert [path.name for path in paths] == ["digits-claims.md", "mnist-claims.md"]
