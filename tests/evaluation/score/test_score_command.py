"""The command that scores anybody's samples: what it prints, what it writes, what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from asking import BYTES, SHAPE, rows, score

from dgmbench.data.dataset import load_dataset
from dgmbench.data.prepare import prepare
from dgmbench.data.views import view_of
from dgmbench.evaluation.features.domain_classifier import load_classifier
from dgmbench.evaluation.given import Given
from dgmbench.evaluation.quality.in_features import domain_fid
from dgmbench.evaluation.score import reference
from dgmbench.evaluation.subsets import shuffled
from dgmbench.files import sha256_file
from dgmbench.settings import EvaluationSettings

Printed = pytest.CaptureFixture[str]


def refusal(capsys: Printed, *words: str) -> str:
    """The one sentence that a call is refused with."""
    with pytest.raises(SystemExit) as stopped:
        score(*words)
    out, err = capsys.readouterr()
    assert stopped.value.code == 2 and out == ""
    (line,) = (line for line in err.splitlines() if not line.startswith(("preparing", "digits: {")))
    assert line.startswith("error: ")
    return line


def test_a_folder_of_pictures_scores_as_the_array_of_their_pixels(place: Path, capsys: Printed) -> None:
    score("--images", "samples.npy", "--csv", "array.csv")
    printed = capsys.readouterr().out
    score("--images", "pictures", "--csv", "folder.csv")
    array, folder = rows(place / "array.csv"), rows(place / "folder.csv")
    assert {m: row["value"] for m, row in array.items()} == {m: row["value"] for m, row in folder.items()}
    wanted = {"fid_domain", "fid_domain_floor", "kid_domain", "precision", "recall", "density", "coverage"}
    wanted |= {"class_histogram_distance", "class_histogram_distance_floor", "edge_sharpness_ratio"}
    assert wanted | {"pairwise_distance_ratio", "high_frequency_ratio"} < set(array)
    assert array["fid_domain"]["n"] == "60" and float(array["n_real_domain"]["value"]) == 300
    assert "FID (domain)" in printed and "lower is better" in printed
    # Too few samples: a note beside the number, and the number.
    note = "60 samples for 64 features: the covariance is rank-deficient"
    assert f"note: FID (domain): {note}" in printed and note in array["fid_domain"]["note"]


def test_held_out_images_score_better_than_noise(place: Path) -> None:
    score("--images", "samples.npy", "--csv", "noise.csv")
    images = load_dataset("digits").images("valid") / np.float32(16)
    np.save("valid.npy", images)
    score("--images", "valid.npy", "--csv", "valid.csv")
    noise, valid = rows(place / "noise.csv"), rows(place / "valid.csv")
    assert float(valid["fid_domain"]["value"]) < 0.2 * float(noise["fid_domain"]["value"])
    assert float(valid["coverage"]["value"]) > 0.7 > float(noise["coverage"]["value"])
    assert float(valid["pairwise_distance_ratio"]["value"]) == pytest.approx(1.0, abs=0.05)
    assert valid["fid_domain"]["kind"] == "estimate" and noise["fid_domain"]["kind"] == "heuristic"


def test_scores_are_those_of_the_evaluation(place: Path) -> None:
    """Training images as samples, in whole levels: memorisation is measured too, and finds them copied."""
    score("--images", "samples.npy")
    data = load_dataset("digits")
    np.save("copies.npy", data.images("train")[:250])
    score("--images", "copies.npy", "--levels", "17", "--csv", "copies.csv")
    found = rows(place / "copies.csv")
    assert float(found["nn_distance_ratio"]["value"]) == 0.0 == float(found["auth_pct"]["value"])
    assert (
        found["nn_distance_ratio"]["classifier_sha256"] == "" != found["auth_pct_domain"]["classifier_sha256"]
    )
    given = Given(
        data,
        EvaluationSettings(store=None, fid_samples=250),
        0,
        torch.device("cpu"),
        load_classifier("digits", "gray", torch.device("cpu")),
        images=shuffled(torch.from_numpy(data.images("train")[:250] / np.float32(16))),
        own_view=view_of("gray", data.schema),
    )
    (fid,) = (record for record in domain_fid(given, place) if record.metric == "fid_domain")
    assert float(found["fid_domain"]["value"]) == pytest.approx(fid.value)


@pytest.mark.parametrize("n", [2, 60])
def test_too_few_samples_are_said_in_the_first_line(place: Path, capsys: Printed, n: int) -> None:
    np.save("few.npy", BYTES[:n])
    score("--images", "few.npy", "--csv", "few.csv")
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(f"caution: {n} samples and 300 test images are too few for 64 features")
    few = rows(place / "few.csv")
    assert all("too few" in row["note"] for row in few.values())
    assert {row["kind"] for row in few.values()} == {"exact", "heuristic"}
    assert all(np.isfinite(float(row["value"])) for row in few.values())


def test_what_domain_scores_were_measured_by_stands_beside_them(place: Path, capsys: Printed) -> None:
    score("--images", "samples.npy", "--csv", "scores.csv")
    weights = place / "runs" / "digits" / "classifier" / "weights-gray.pt"
    found, data = rows(place / "scores.csv"), load_dataset("digits")
    inside = {"fid_domain", "kid_domain_floor", "precision", "class_histogram_distance"}
    for metric, row in found.items():
        assert row["data_sha256"] == data.sha256
        if metric in inside:
            assert row["classifier_sha256"] == sha256_file(weights)
            assert 0 <= float(row["classifier_accuracy"]) < 40
        if metric.endswith("_ratio"):
            assert row["classifier_sha256"] == row["classifier_accuracy"] == ""
    lines = capsys.readouterr().out.splitlines()
    words = f"classifier {float(found['precision']['classifier_accuracy']):.1f} % {sha256_file(weights)[:8]}"
    assert sum(words in line for line in lines) >= 8
    assert not any("classifier" in line for line in lines if line.startswith(("sharpness", "diversity")))


def test_an_almost_untrained_classifier_is_said_before_the_scores(
    place: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save("samples.npy", np.concatenate([BYTES, BYTES]))
    score("--images", "samples.npy", "--csv", "poor.csv")
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("caution: the classifier is right about") and "classifier.epochs" in first
    assert "another scale" in rows(place / "poor.csv")["fid_domain"]["note"]
    monkeypatch.setitem(reference.REACHED, ("digits", "gray"), 10.0)
    score("--images", "samples.npy")
    assert "caution: the classifier" not in capsys.readouterr().out


def test_cut_data_are_said_before_the_scores(place: Path, capsys: Printed) -> None:
    prepare("digits", Path("data/digits"), seed=0, limit=400)
    score("--images", "samples.npy", "--csv", "cut.csv")
    first = [line for line in capsys.readouterr().out.splitlines() if line.startswith("caution")]
    assert any("cut to 400 training and 100 test images (data.limit: 400)" in line for line in first)
    assert "data.limit: 400" in rows(place / "cut.csv")["pairwise_distance_ratio"]["note"]


def test_images_far_below_the_top_of_the_scale_are_said_before_the_scores(
    place: Path, capsys: Printed
) -> None:
    np.save("dim.npy", BYTES / np.float32(2550))
    score("--images", "dim.npy", "--csv", "dim.csv")
    first = [line for line in capsys.readouterr().out.splitlines() if line.startswith("caution")]
    assert any(
        "the largest value of all images is 0.1, where the top of the scale is 1" in line for line in first
    )
    assert "largest value" in rows(place / "dim.csv")["pairwise_distance_ratio"]["note"]


def test_what_cannot_be_had_costs_no_other_score(place: Path, capsys: Printed) -> None:
    (place / "runs" / "digits" / "classifier" / "info.json").unlink()
    score("--images", "samples.npy", "--inception", "--inception-weights", "none.pth")
    printed = capsys.readouterr().out
    assert "note: domain features left out: no classifier in" in printed
    assert "python -m stages.classifier --dataset digits" in printed
    assert "note: Inception features left out: evaluation.inception.weights: there is no file" in printed
    assert "diversity" in printed and "sharpness" in printed
    Path("none.pth").write_bytes(b"other weights")
    score("--images", "samples.npy", "--inception", "--inception-weights", "none.pth")
    printed = capsys.readouterr().out
    assert "note: Inception features left out: evaluation.inception.weights: none.pth is corrupt" in printed
    assert "expected SHA-256 6726825d" in printed and "sharpness" in printed


def test_one_score_that_cannot_be_had_costs_none_beside_it(place: Path, capsys: Printed) -> None:
    score("--images", "samples.npy", "--limit", "20", "--neighbours", "25", "--csv", "few.csv")
    printed = capsys.readouterr().out
    assert "note: precision, recall, density and coverage (domain) left out:" in printed
    found = set(rows(place / "few.csv"))
    assert {"fid_domain", "kid_domain", "class_histogram_distance", "pairwise_distance_ratio"} < found
    assert "precision" not in found


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--view", "grey"], "--view grey: digits has it not. did you mean 'gray'"),
        (["--dataset", "digit"], "no data set 'digit'; did you mean 'digits'"),
        (["--dataset", "wordnet"], "images are scored, and it is a data set of sentences"),
        (["--limit", "1"], "--limit and --levels are 2 or more"),
        (["--limit", "0"], "--limit and --levels are 2 or more"),
        (["--levels", "0"], "--limit and --levels are 2 or more"),
        (["--neighbours", "0"], "--neighbours is 1 or more"),
        (["--view", "binary"], "--view binary: these samples have other values"),
        *((["--device", name], f"--device is '{name}'. Valid: auto, cpu, cuda, cuda:N") for name in
          ("foo", "cuda:x", "cuda:-1", "mps", "meta", "xpu", "")),
        (["--device", "cuda:99"], "--device is 'cuda:99', but this machine has"),
        *(([option, "~nobody-of-that-name/x"], "~nobody-of-that-name/x: there is no such user") for option in
          ("--images", "--csv", "--mirror", "--inception-weights")),
        (["--csv", "pictures"], "--csv pictures: name a file in a folder"),
        (["--csv", "none/scores.csv"], "name a file in a folder that there is"),
        (["--csv", "samples.npy/scores.csv"], "name a file in a folder that there is"),
        (["--csv", "n" * 300], "File name too long"),
        (["--images", "n" * 300], "--images"),
        (["--images", "/dev/zero"], "neither a folder of images nor a .npy file"),
    ],
)  # fmt: skip
def test_a_wrong_word_ends_in_one_sentence(
    place: Path, capsys: Printed, words: list[str], sentence: str
) -> None:
    assert sentence in refusal(capsys, "--images", "samples.npy", *words)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ((BYTES[0] > 127), "all black and white: they are of the binary view (--view binary)"),
        (np.zeros(SHAPE), "blank: every pixel of all of them is 0"),
        (np.full(SHAPE, 0.5), "blank: every pixel of all of them is 0.5"),
    ],
)
def test_samples_that_are_not_of_the_view_are_refused(
    place: Path, capsys: Printed, image: np.ndarray, sentence: str
) -> None:
    np.save("odd.npy", np.stack([image] * 3))
    assert sentence in refusal(capsys, "--images", "odd.npy")


def test_black_and_white_among_gray_images_and_copies_are_counted(place: Path, capsys: Printed) -> None:
    np.save("mixed.npy", np.concatenate([BYTES, BYTES[:5], 255 * (BYTES[5:8] > 127).astype(np.uint8)]))
    score("--images", "mixed.npy")
    printed = capsys.readouterr().out
    assert "read: 5 of 68 images are exact copies of others" in printed
    assert "read: 3 of 68 images are in black and white alone" in printed


DAMAGES = {
    "no JSON": "{",
    "no UTF-8": b"\xff\xfe{}",
    "nested": "[" * 100_000,
    "empty": "",
    "a list": "[1]",
    "keys missing": "{}",
    "a shape of words": '{"image_shape": "x", "classes": 10, "weights_sha256": {"gray": ""}}',
    "no classes": '{"image_shape": [1, 8, 8], "classes": "ten", "weights_sha256": {"gray": ""}}',
    "no hashes": '{"image_shape": [1, 8, 8], "classes": 10, "weights_sha256": 5}',
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_description_of_the_classifier_is_a_note(place: Path, capsys: Printed, damage: str) -> None:
    content = DAMAGES[damage]
    path = place / "runs" / "digits" / "classifier" / "info.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    score("--images", "samples.npy")
    printed = capsys.readouterr().out
    assert (
        "note: domain features left out: runs/digits/classifier/info.json describes no classifier" in printed
    )
    assert "sharpness" in printed


@pytest.mark.parametrize("damage", ["weights of another shape", "no weights", "other bytes"])
def test_damaged_weights_are_a_note(place: Path, capsys: Printed, damage: str) -> None:
    folder = place / "runs" / "digits" / "classifier"
    weights = folder / "weights-gray.pt"
    if damage == "no weights":
        weights.unlink()
    elif damage == "other bytes":
        weights.write_bytes(b"other")
    else:
        torch.save({"first.weight": torch.zeros(1)}, weights)
        info = (folder / "info.json").read_text()
        old = info.split('"gray": "')[1][:64]
        (folder / "info.json").write_text(info.replace(old, sha256_file(weights)))
    score("--images", "samples.npy")
    printed = capsys.readouterr().out
    assert "note: domain features left out: runs/digits/classifier/weights-gray.pt" in printed
    assert "sharpness" in printed


@pytest.mark.parametrize("damage", ["{", "[]", "{}", "\xff"])
def test_a_damaged_manifest_is_a_sentence(place: Path, capsys: Printed, damage: str) -> None:
    (place / "data" / "digits").mkdir(parents=True)
    (place / "data" / "digits" / "manifest.json").write_text(damage, encoding="latin-1")
    assert "run python -m stages.prepare --dataset digits" in refusal(capsys, "--images", "samples.npy")
