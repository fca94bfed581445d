"""The committed evidence is what its records give."""

from pathlib import Path

import pytest

from analysis.bundle import opened
from analysis.report import write_report

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence"
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
