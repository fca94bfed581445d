"""The committed evidence is what its records give."""

import re
from pathlib import Path
from typing import Any

import pytest

from analysis.bundle import opened
from analysis.report import write_report

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / "docs" / "evidence"
BUNDLES = sorted(EVIDENCE.glob("*.zip"))


def test_there_is_evidence() -> None:
    assert len(BUNDLES) == 5


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.stem)
def test_a_committed_report_is_made_from_its_bundle(bundle: Path, tmp_path: Path) -> None:
    with opened(bundle) as run:
        report = write_report(run, tmp_path)
    made = (report.page.parent / "report.md").read_text(encoding="utf-8")
    assert made == (EVIDENCE / bundle.stem / "report.md").read_text(encoding="utf-8")
    assert report.counts["done"] == report.num_trials


def test_the_lines_at_the_end_of_the_document_give_its_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(ROOT)
    found: dict[str, Any] = {}
    exec(compile(code, "docs/evidence.md", "exec"), found)
    assert found["means"]["valid_top1"] == pytest.approx(33.2, abs=0.05)
    assert found["means"]["test_top1"] == pytest.approx(27.0, abs=0.05)
    agreement = found["agreement"]
    assert agreement.loc["valid_top1", "test_top1"] == pytest.approx(0.46, abs=0.005)
    assert agreement.loc["test_linear_top1", "test_top1"] == pytest.approx(0.79, abs=0.005)
    assert found["last_loss"] == pytest.approx(3.52, abs=0.005)
    assert found["slot_hours"] == pytest.approx(0.93, abs=0.005)
    rows = "\n".join(re.findall(r"^\| [14], .*$", text, re.MULTILINE))
    cells = re.findall(r"(\d+\.\d), (\d+\.\d) \((\d+\.\d), (\d+\.\d)\)", rows)
    numbers = [float(number) for cell in cells for number in cell]
    knobs = found["by_seed"][["test_top1", "valid_top1"]].to_numpy().ravel()
    assert sorted(numbers) == sorted(round(100 * value, 1) for value in knobs.tolist())
