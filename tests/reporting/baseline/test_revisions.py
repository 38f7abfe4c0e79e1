"""Reports at revisions of git: what two differ in, what is said where there is none, the figure over all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from fabricate import frame_of, row
from PIL import Image

from dgmbench.__main__ import main
from dgmbench.commands import guarded
from dgmbench.errors import SettingsError
from dgmbench.reporting.baseline.revisions import difference, history, only_headlines, results_at
from dgmbench.reporting.figures.history import lines_of, segments
from dgmbench.reporting.headlines import headlines

GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")


def frame(fid: float, elbo: float = -20.0) -> pd.DataFrame:
    seeds = (0, 1, 2)
    return frame_of(
        *(row("vae", s, "fid_domain", fid + 0.1 * s, unit="1") for s in seeds),
        *(row("vae", s, "elbo", elbo + 0.1 * s) for s in seeds),
        *(row("vae", s, "precision", 0.9 + 0.001 * fid, unit="1") for s in seeds),
    )


def commit(found: pd.DataFrame, subject: str) -> None:
    path = Path("reports/p/results.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    found.to_csv(path, index=False)
    subprocess.run([*GIT, "add", "-A"], check=True)
    subprocess.run([*GIT, "commit", "-qm", subject], check=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three revisions of a report: FIDs of 2, 2.01 and 90."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    for fid in (2.0, 2.01, 90.0):
        commit(frame(fid), f"FID {fid}")
    return tmp_path


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["dgmbench", *arguments])
    try:
        guarded(main)
    except SystemExit as stopped:
        return stopped.code
    return 0


def test_what_changed_between_two_revisions(repository: Path) -> None:
    small = {found.metric: found for found in difference("p", "HEAD~2", "HEAD~1")}
    assert {found.severity for found in small.values()} == {"within"}
    assert small["fid_domain"].current == pytest.approx(2.11)
    large = {found.metric: found.severity for found in difference("p", "HEAD~2", "HEAD")}
    assert large["fid_domain"] == "regression" and "elbo" not in large


def test_within_tolerance_only_headlines_are_kept(repository: Path) -> None:
    found = difference("p", "HEAD~2", "HEAD~1")
    assert {finding.metric for finding in found} == {"fid_domain", "precision"}
    kept = only_headlines(found, results_at("HEAD~1", "p"))
    assert [finding.metric for finding in kept] == ["fid_domain"]


def test_what_is_not_listed_is_counted(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = frame(90.0)
    other.loc[other["metric"] == "precision", "value"] += 0.001
    other.to_csv("reports/p/results.csv", index=False)
    command = ("diff", "HEAD", "--pipeline", "p", "--markdown", "d.md")
    assert ended(monkeypatch, *command) == 0
    said = capsys.readouterr().out
    assert "nothing beyond tolerance; 1 change within (`--everything`)" in said
    assert "no number differs" not in said
    assert "1 change within." in Path("d.md").read_text(encoding="utf-8")
    assert ended(monkeypatch, *command, "--everything") == 0
    assert "WITHIN" in capsys.readouterr().out


def test_without_a_second_revision_it_is_the_working_tree(repository: Path) -> None:
    assert difference("p", "HEAD") == []
    frame(90.0, elbo=-60.0).to_csv("reports/p/results.csv", index=False)
    assert [f.metric for f in difference("p", "HEAD")] == ["elbo"]


def test_a_report_is_found_from_a_folder_that_is_not_the_top(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(frame(3.0), "again")
    inner = repository / "inner"
    (inner / "reports" / "p").mkdir(parents=True)
    monkeypatch.chdir(inner)
    frame(4.0).to_csv("reports/p/results.csv", index=False)
    subprocess.run([*GIT, "add", "-A"], check=True)
    subprocess.run([*GIT, "commit", "-qm", "inner"], check=True)
    assert results_at("HEAD", "p")["value"].iloc[0] == 4.0


def test_what_is_not_there_is_said(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="there is no revision 'nosuch'"):
        results_at("nosuch", "p")
    with pytest.raises(SettingsError, match=r"there is no reports/q/results.csv at HEAD"):
        results_at("HEAD", "q")
    with pytest.raises(SettingsError, match="no revision has a reports/q"):
        history("q")
    commit(frame(2.0).assign(metric="unheard_of"), "other metrics")
    with pytest.raises(SettingsError, match=r"at HEAD cannot be read.*unheard_of"):
        results_at("HEAD", "p")


def test_the_command_prints_a_table_and_writes_markdown(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, "diff", "HEAD~1", "HEAD", "--pipeline", "p", "--markdown", "d.md") == 0
    assert "REGRESSION" in capsys.readouterr().out
    assert "### p: from HEAD~1 to HEAD" in Path("d.md").read_text(encoding="utf-8")
    assert ended(monkeypatch, "diff", "HEAD", "--pipeline", "p") == 0
    assert "from HEAD to the working tree: no number differs" in capsys.readouterr().out


def test_history_is_the_revisions_that_changed_the_report(repository: Path) -> None:
    (repository / "other").write_text("x")
    subprocess.run([*GIT, "add", "-A"], check=True)
    subprocess.run([*GIT, "commit", "-qm", "elsewhere"], check=True)
    assert [revision.subject for revision in history("p")] == ["FID 2.0", "FID 2.01", "FID 90.0"]


def test_lines_have_a_gap_where_a_revision_lacks_the_model() -> None:
    other = frame(5.0).assign(model="ae")
    found = [list(headlines(each)) for each in (frame(1.0), other, frame(3.0))]
    panel = lines_of(found)["d, binary", "fid"]
    means = {model: {x: round(cell.mean, 6) for x, cell in line.items()} for model, line in panel.items()}
    assert means == {"vae": {0: 1.1, 2: 3.1}, "ae": {1: 5.1}}
    assert set(lines_of(found, ["ae"])["d, binary", "fid"]) == {"ae"}


def test_a_line_is_not_joined_across_another_metric_or_a_gap() -> None:
    other = frame(3.0)
    other["metric"] = other["metric"].replace("fid_domain", "fid_inception")
    absent = frame(4.0).assign(model="ae")
    found = [frame(1.0), frame(2.0), other, other, frame(4.0), absent, frame(5.0)]
    panel = lines_of([list(headlines(each)) for each in found], ["vae"])["d, binary", "fid"]
    assert segments(panel["vae"]) == [[0, 1], [2, 3], [4], [6]]


def test_a_model_that_no_revision_has_is_an_error_with_the_nearest(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("history", "--pipeline", "p", "--out", "h.png", "--models", "vae", "vea")
    assert ended(monkeypatch, *command) == 2
    assert "no revision has a model 'vea': did you mean 'vae'?" in capsys.readouterr().err
    assert not Path("h.png").exists()


def test_the_figure_is_drawn_and_what_cannot_be_read_is_said(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(frame(2.0).assign(metric="unheard_of"), "other metrics")
    assert ended(monkeypatch, "history", "--pipeline", "p", "--out", "h.png") == 0
    said = capsys.readouterr().out
    assert "left out: " in said and "h.png: 3 revisions" in said
    with Image.open("h.png") as picture:
        assert picture.width > 400 and picture.height > 300
    assert ended(monkeypatch, "history", "--pipeline", "p", "--models", "nosuch") == 2
