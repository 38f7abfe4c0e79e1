"""WordNet's example sentences: read out of a handmade file, fetched from each source, dealt without leaks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packing import deb, tar

from dgmbench.data.dataset import load_dataset
from dgmbench.data.fetch.raw import Limits, RawSet
from dgmbench.data.fetch.sources import fetch
from dgmbench.data.prepare import prepare
from dgmbench.data.schema import TokenTarget
from dgmbench.data.sets import wordnet
from dgmbench.data.text import build_vocabulary, tokenize, words_of
from dgmbench.errors import DataError

QUICK = Limits(timeout=1.0, deadline=5.0)
# Of all files, for data seed 0. Another value means that every published number was measured on other data.
PINNED = "fc0751816ae4e56af7f6be9e991f8b1989a4e1cd77209ac175c72780f24751e5"
Serve = Callable[[Path], Any]

LICENCE = '  1 This software is provided to you, the LICENSEE,\n  2 "AS IS"  \n'
GLOSSES = {
    "data.noun": ['a sound; "the ring of the bell"; "the bells ring"--E. A. Poe', "no example at all"],
    "data.verb": ['annoy; "Nagged by doubts, again"', 'tie:"hitch the trailer to it", "hitch a ride now"'],
    "data.adj": ['(used of wives) "a nagging wife"', 'odd; "an unfinished one; "not read at all"'],
    "data.adv": ['slowly; "THE BELLS RING!"; "too short"; "he asked `why not?\' again"; "a b c" he said'],
}
EXPECTED = [
    "the ring of the bell",
    "the bells ring",
    "Nagged by doubts, again",
    "hitch the trailer to it",
    "hitch a ride now",
    "he asked `why not?' again",
]


def lines(glosses: list[str]) -> str:
    return LICENCE + "".join(f"0000{i} 03 n 01 word 0 000 | {gloss}  \n" for i, gloss in enumerate(glosses))


CONTENTS = {name: lines(glosses).encode() for name, glosses in GLOSSES.items()}
CONTENT = b"".join(CONTENTS.values())


@pytest.mark.parametrize(
    ("gloss", "examples"),
    [
        ('able; "able to swim"; "she was able"', ["able to swim", "she was able"]),
        ('wise; "so wise"- Shakespeare; "as wise"--E. A. Poe', ["so wise", "as wise"]),
        ('"only an example"', ["only an example"]),
        ('ran; "he ran" (British); "they ran", "we ran"', ["he ran", "they ran", "we ran"]),
        ('a workplace; as in the expression "on the job";', []),
        ('spread ("straw" is archaic); "strew toys"', ["strew toys"]),
        ('a phrase (e.g., "he said `I am a fool\'")', []),
        ('talk; "I know," he continued, "but there is no choice"', ["but there is no choice"]),
        ('odd; "unfinished; "not read"', []),
        ("none", []),
    ],
)
def test_examples_of_a_gloss(gloss: str, examples: list[str]) -> None:
    assert wordnet.examples_of(gloss) == examples


def test_a_handmade_file_gives_each_sentence_once() -> None:
    assert wordnet.sentences(CONTENT) == [tokenize(text) for text in EXPECTED]


def raw(content: bytes = CONTENT) -> RawSet:
    """The raw set with the checksum of the handmade files."""
    (file,) = wordnet.WORDNET_RAW.files
    file = replace(file, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    return replace(wordnet.WORDNET_RAW, files=(file,), urls=("http://never-asked.invalid/",))


def put(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder


FORMS = {
    "wordnet-3.0-data.tar.xz": tar(CONTENTS),
    "wordnet-base_3.0-37_all.deb": deb({f"./usr/share/wordnet/{k}": v for k, v in CONTENTS.items()}),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_mirror_and_a_server_may_hold_either_form(name: str, tmp_path: Path, serve: Serve) -> None:
    folder = put(tmp_path / "there" / "wordnet", name, FORMS[name])
    fetched = fetch(raw(), mirror=folder.parent)
    assert fetched.contents == {"wordnet-3.0-data": CONTENT}
    site = serve(folder)
    published = replace(raw(), urls=(f"{site.url}/",))
    fetched = fetch(published, downloads=tmp_path / "downloads", limits=QUICK)
    assert fetched.contents == {"wordnet-3.0-data": CONTENT}
    assert fetched.source == {"served_by": "publisher", "url": f"{site.url}/"}
    # Kept as it came, and not asked for again.
    assert (tmp_path / "downloads" / "wordnet" / name).read_bytes() == FORMS[name]
    asked = len(site.asked)
    assert fetch(published, downloads=tmp_path / "downloads").contents == {"wordnet-3.0-data": CONTENT}
    assert len(site.asked) == asked


@pytest.mark.parametrize("damage", ["another text", "another archive", "truncated"])
def test_another_package_is_refused(tmp_path: Path, damage: str) -> None:
    good = FORMS["wordnet-base_3.0-37_all.deb"]
    bad = {
        "another text": deb({**CONTENTS, "data.adv": b""}),
        "another archive": deb({"data.noun": b""}),
        "truncated": good[: len(good) // 2],
    }[damage]
    put(tmp_path / "wordnet", "wordnet-base_3.0-37_all.deb", bad)
    with pytest.raises(DataError, match="expected"):
        fetch(replace(raw(), urls=()), mirror=tmp_path, downloads=tmp_path / "none")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A mirror of a hundred sentences, of which ten each are held out."""
    glosses = [f'thing; "the thing of {i} things is {i * i}"' for i in range(100)]
    content = lines(glosses).encode()
    members = {"data.noun": content, "data.verb": b"", "data.adj": b"", "data.adv": b""}
    put(tmp_path / "mirror" / "wordnet", "wordnet-3.0-data.tar.xz", tar(members))
    monkeypatch.setattr(wordnet, "HELD_OUT", {"valid": 10, "test": 10})
    monkeypatch.setattr(wordnet, "WORDNET", replace(wordnet.WORDNET, raw=raw(content)))
    return tmp_path / "mirror"


def test_what_is_prepared(small: Path, tmp_path: Path) -> None:
    manifest = prepare("wordnet", tmp_path / "data" / "wordnet", seed=0, mirror=small)
    assert manifest["splits"] == {"train": 80, "valid": 10, "test": 10}
    assert manifest["tokens"] == {"train": 640, "valid": 80, "test": 80}
    assert manifest["schema"]["target"] == {"kind": "tokens", "length": 21, "vocabulary": 8000}
    assert set(manifest["arrays"]) == {"train.npy", "valid.npy", "test.npy", "vocabulary.json"}
    data = load_dataset("wordnet", tmp_path / "data")
    vocabulary = data.vocabulary()
    assert vocabulary[:8] == ["<pad>", "<end>", "<unknown>", "is", "of", "the", "thing", "things"]
    assert data.schema == wordnet.WORDNET.schema and data.views == ("tokens",) and data.classes is None
    assert data.examples("train").dtype == np.int32 and data.examples("train").shape == (80, 21)
    unknown = (data.examples("test") == TokenTarget.UNKNOWN).sum() / 70
    assert unknown == pytest.approx(manifest["unknown_share"]["test"], abs=1e-6) and unknown > 0.2
    assert manifest["unknown_share"]["train"] == 0
    with pytest.raises(DataError, match="not of image"):
        data.images("train")
    with pytest.raises(DataError, match="no binary view"):
        data.binary("test")
    (tmp_path / "data" / "wordnet" / "vocabulary.json").write_text("[]")
    with pytest.raises(DataError, match=r"vocabulary\.json is not what was prepared"):
        load_dataset("wordnet", tmp_path / "data")


def test_a_limit_keeps_a_prefix_and_the_vocabulary(small: Path, tmp_path: Path) -> None:
    whole = prepare("wordnet", tmp_path / "whole" / "wordnet", seed=0, mirror=small)
    short = prepare("wordnet", tmp_path / "short" / "wordnet", seed=0, mirror=small, limit=40)
    assert short["splits"] == {"train": 40, "valid": 5, "test": 5}
    assert short["arrays"]["vocabulary.json"] == whole["arrays"]["vocabulary.json"]
    for split in ("train", "valid", "test"):
        some = load_dataset("wordnet", tmp_path / "short").examples(split)
        every = load_dataset("wordnet", tmp_path / "whole").examples(split)
        np.testing.assert_array_equal(some, every[: len(some)])


def test_another_seed_deals_other_splits(small: Path, tmp_path: Path) -> None:
    hashes = [
        prepare("wordnet", tmp_path / str(i), seed=seed, mirror=small)["sha256"]
        for i, seed in enumerate((0, 0, 1))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_sentences_too_long_or_in_two_splits_are_refused(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = wordnet.WORDNET
    narrow = replace(spec, schema=replace(spec.schema, target=TokenTarget(7, 9)))
    monkeypatch.setattr(wordnet, "WORDNET", narrow)
    with pytest.raises(DataError, match="a sentence of 7 tokens; expected 6 at most"):
        prepare("wordnet", tmp_path / "long", seed=0, mirror=small)

    def leak(contents: dict[str, bytes], seed: int) -> dict[str, Any]:
        splits = wordnet.cut_wordnet(contents, seed)
        again = (*splits["train"].sentences[0], ".")
        return splits | {"test": replace(splits["test"], examples=[*splits["test"].sentences, again])}

    monkeypatch.setattr(wordnet, "WORDNET", replace(spec, cut=leak))
    with pytest.raises(DataError, match="the splits share sentences: 1 in both train and test"):
        prepare("wordnet", tmp_path / "leak", seed=0, mirror=small)


def test_the_real_sentences_are_the_pinned_ones(tmp_path: Path, real_mirror: Path) -> None:
    if not (real_mirror / "wordnet").is_dir():
        pytest.skip("the mirror has no wordnet")
    manifest = prepare("wordnet", tmp_path / "wordnet", seed=0, mirror=real_mirror)
    assert manifest["splits"] == {"train": 34_675, "valid": 4000, "test": 4000}
    assert manifest["sha256"] == PINNED
    (content,) = fetch(wordnet.WORDNET_RAW, mirror=real_mirror).contents.values()
    found = wordnet.sentences(content)
    assert len(found) == len({words_of(sentence) for sentence in found}) == 42_675
    assert all(3 <= len(sentence) <= 20 for sentence in found)
    data = load_dataset("wordnet", tmp_path)
    splits = wordnet.cut_wordnet({"": content}, 0)
    assert data.vocabulary() == build_vocabulary(splits["train"].sentences, 8000)
    counts = np.bincount(data.examples("train").ravel(), minlength=8000)
    assert counts[3:].min() >= 3
