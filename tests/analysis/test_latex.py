import re
import shutil
import subprocess
from pathlib import Path

import pytest
from written_run import Run, label_trials, trial_of, write_labels

from analysis.latex import escape
from analysis.report import write_report


@pytest.fixture(scope="module")
def fragments(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Fragments of a label table, an input table with names to escape, and matrices."""
    place = tmp_path_factory.mktemp("runs")
    labels, inputs, pairs = (Run(place / name) for name in ("labels", "inputs", "pairs"))
    write_labels(labels)
    trials = [
        trial_of(*chain, dataset=dataset, **fields)
        for chain in (("FD",), ("FD", "TM"))
        for dataset, fields in (("sc10", {}), ("folder", {"folder": "my_own.50-x"}))
    ]
    inputs.plan(*trials)
    inputs.done(trials[0], test=0.5)
    inputs.failed(trials[1])
    for trial in pairs.plan_pairs("FD", "TM", seeds=(0, 1))[:5]:
        pairs.done(trial, test=0.4)
    reports = [write_report(run.path) for run in (labels, inputs, pairs)]
    return [path for report in reports for path in report.files if path.suffix == ".tex"]


def columns_of(line: str) -> int:
    """Columns that a line of a tabular fills."""
    cells = re.split(r"(?<!\\)&", line)
    spans = (re.match(r"\s*\\multicolumn\{(\d+)\}", cell) for cell in cells)
    return sum(int(span[1]) if span else 1 for span in spans)


def test_a_fragment_is_written_for_every_table_and_matrix(fragments: list[Path]) -> None:
    assert [path.name for path in fragments] == [
        "label_table.tex",
        "input_table.tex",
        "matrix_means.tex",
        "matrix_test_top1_2d.tex",
        "matrix_test_linear_top1_2d.tex",
        "matrix_test_knn_top1_2d.tex",
    ]


def test_environments_braces_and_columns_agree(fragments: list[Path]) -> None:
    for path in fragments:
        text = path.read_text(encoding="utf-8")
        opened = re.findall(r"\\begin\{(\w+)\}", text)
        closed = re.findall(r"\\end\{(\w+)\}", text)
        assert opened == closed[::-1] == ["table", "tabular"]
        bare = re.sub(r"\\[{}\\]", "", text)
        assert bare.count("{") == bare.count("}")
        (columns,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
        body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(lines) > 2
        for line in lines:
            assert columns_of(line) == len(columns), line
        for command in (r"\caption{", r"\label{tab:", r"\midrule"):
            assert command in text


def test_special_characters_are_escaped() -> None:
    assert escape("a_b & 50% #1 {x} $2 ~ ^ \\") == (
        r"a\_b \& 50\% \#1 \{x\} \$2 \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )
    assert escape("FD → TM ± 1 − 2 – 3") == (r"FD $\rightarrow$ TM $\pm$ 1 $-$ 2 -- 3")


def test_texts_of_a_user_are_escaped(fragments: list[Path]) -> None:
    text = fragments[1].read_text(encoding="utf-8")
    assert r"my\_own.50-x (own recordings)" in text


def test_nothing_is_left_that_plain_latex_cannot_set(fragments: list[Path]) -> None:
    for path in fragments:
        text = path.read_text(encoding="utf-8")
        assert text.isascii(), set(text) - set(map(chr, range(128)))


def test_label_tables_span_and_stand_beside_the_paper(fragments: list[Path]) -> None:
    text = fragments[0].read_text()
    assert r"SimCLR & \multicolumn{4}{c}{70.0} \\" in text
    assert r"\multicolumn{4}{c}{\footnotesize 84.8} \\" in text
    assert r"\textbf{Not a reproduction: dataset spoken-digits (medium) instead of SC-10" in text


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_a_document_with_all_fragments_compiles(fragments: list[Path], tmp_path: Path) -> None:
    inputs = "\n".join(rf"\input{{{path}}}" for path in fragments)
    (tmp_path / "all.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        f"{inputs}\n\\end{{document}}\n"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stdout[-2000:]


def test_a_run_without_a_result_has_its_fragment(run: Run) -> None:
    run.plan(*label_trials())
    write_report(run.path)
    text = (run.path / "report" / "label_table.tex").read_text()
    assert r"supervised & -- & -- & -- & -- \\" in text
