"""docs/results.md matches the output of its command for the stored results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from benchmarks.results_page.__main__ import PAGE, RESULTS, page
from benchmarks.results_page.tables import cell, table


def test_the_committed_page_is_what_the_command_makes() -> None:
    assert PAGE.read_text() == page(), "run python -m benchmarks.results_page"


def test_every_file_is_on_the_page_once_with_where_it_is_from() -> None:
    text = page()
    for path in RESULTS.glob("*.json"):
        report = json.loads(path.read_text())
        (line,) = [one for one in text.splitlines() if one.startswith(f"- [{path.name}]")]
        assert report["command"] in line and report["commit"] in line
        assert report["machine"]["processor"] in line
    assert "## Other files" not in text


def test_a_file_of_another_benchmark_is_listed(tmp_path: Path) -> None:
    shutil.copy(RESULTS / "soak.json", tmp_path / "new.json")
    assert "## Other files\n\n- [new.json]" in page(tmp_path)


def test_tables_have_a_cell_for_each_head() -> None:
    for block in page().split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in rows}) <= 1, rows[:1]
    assert [*table(("a", "b"), [(1234, 0.5), ("x|y", None)])] == [
        "| a | b |", "|---|---|", "| 1,234 | 0.50 |", "| x\\|y |  |"
    ]  # fmt: skip
    assert cell(1.0, digits=1) == "1.0"


def test_rows_of_several_runs_name_the_commit_of_each() -> None:
    results = json.loads((RESULTS / "speed-avx2.json").read_text())["results"]
    (line,) = [one for one in page().splitlines() if one.startswith("- [speed-avx2.json]")]
    runs = {(row["run"]["command"], row["run"]["commit"]) for row in results}
    assert len(runs) > 1
    assert all(line.count(f"`{command}`; commit {commit},") == 1 for command, commit in runs)
