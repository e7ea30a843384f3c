"""Our own prose says what it can show: the product's own rules find nothing in it, and every figure has a source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.claims.figures import figure_problems, figures_in
from docs.claims.prose import PAGES, SOURCES
from docs.claims.wording import wording_problems

ROOT = Path(__file__).parents[2]


def test_no_page_claims_more_than_we_can_show() -> None:
    assert [str(problem) for problem in wording_problems(PAGES)] == []


def test_no_text_in_the_source_claims_more_than_we_can_show() -> None:
    assert [str(problem) for problem in wording_problems(SOURCES)] == []


def test_every_figure_in_the_pages_has_a_source() -> None:
    assert [str(problem) for problem in figure_problems()] == []


def test_what_people_read_is_among_what_is_checked() -> None:
    checked = {path.relative_to(ROOT).as_posix() for path in (*PAGES, *SOURCES)}

    assert {
        "README.md",
        "CLAIMS.md",
        "docs/ledger.md",
        "wattproof/server/tool_table.py",
        "wattproof/server/cli_tools.py",
        "wattproof/server/apps/receipt.html",
        "wattproof/server/mcp_prompts.py",
        "server.json",
    } <= checked


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("page.md", "# Title\n\nWe are\ncarbon neutral.\n", 4),
        ("code.py", '"""Doc."""\n\n\ndef f():\n    """One.\n\n    We saved 3 g of CO2e.\n    """\n', 7),
        ("code.py", "x = 1\n# This model is\n# climate friendly.\n", 3),
        ("code.py", 'x = 1\ny = f"We saved {x} g of CO2e"\n', 2),
        ("card.html", "<p>\n<b>Verified emissions data</b></p>", 2),
        ("card.html", '<i aria-label="Sustainable choice"></i>', 1),
        ("card.html", "<script>\nconst a = 1;\nlabel('Real-time grid intensity');\n</script>", 3),
        ("view.js", "a();\nb(`100 % renewable energy`);", 2),
        ("server.json", '{\n "description": "Net zero answers for all"\n}', 2),
    ],
)
def test_a_claim_is_found_by_file_and_line(tmp_path: Path, name: str, text: str, line: int) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")

    assert [problem.line for problem in wording_problems([path])] == [line]


def test_code_that_nobody_reads_is_no_claim(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text("net_zero = 'net_zero'\nP = r'(?:net zero|\\bgreen model\\b)'\n", "utf-8")

    assert list(wording_problems([path])) == []


def test_a_marker_excuses_one_rule_where_it_gives_a_reason(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    marker = "<!-- claims: allow neutral: the name of a chapter that we cite -->"
    page.write_text(f"{marker}\nWe are carbon neutral.\n", "utf-8")

    assert list(wording_problems([page])) == []


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("<!-- claims: allow neutral: -->", "gives no reason"),
        ("<!-- claims: allow saved: a reason that is long enough -->", "excuses nothing"),
        ("<!-- claims: allow everything: a reason that is long enough -->", "names no rule"),
    ],
)
def test_a_marker_that_is_not_right_is_a_problem_itself(tmp_path: Path, marker: str, told: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{marker}\nNothing here.\n", "utf-8")

    assert [problem.told for problem in wording_problems([page]) if told in problem.told]


def test_figures_are_read_from_prose_and_not_from_code() -> None:
    text = "It takes 3 to 5 ms and 12.5 % more; `7 ms` is code.\n<!-- x: begin -->\n9 ms\n<!-- x: end -->\n"

    assert [(figure.number, figure.unit) for figure in figures_in(text)] == [("3", "ms"), ("5", "ms"), ("12.5", "%")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("It takes 4.56 ms.", ["4.56 ms: neither"]),
        ("It takes 1.23 ms: [report](reports/r.json).", []),
        ("It takes 1.24 ms: [report](reports/r.json).", ["1.24 ms: neither"]),
        ("It takes 4.56 ms: [report](reports/none.json).", ["links none.json", "4.56 ms"]),
        ("It takes 4.56 ms.\n\n```console\n$ run\n4.56 ms\n```\n", []),
        ("<!-- Written by `make docs` -->\nIt takes 4.56 ms.", []),
        ("The interval is a 90 % one.", []),
    ],
)
def test_a_figure_needs_a_row_a_report_or_a_printed_example(tmp_path: Path, text: str, told: list[str]) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "r.json").write_text('{"seconds": [0.0012345, true, null]}', "utf-8")
    (tmp_path / "page.md").write_text(text, "utf-8")
    found = list(figure_problems([tmp_path / "page.md"]))

    assert len(found) == len(told)
    assert all(part in problem.told for part, problem in zip(told, found, strict=True))


def test_no_file_names_a_package_index_or_a_path_of_one_machine() -> None:
    pattern = re.compile(r"index-url\s*=|/simple/?\s*$|(?<![\w.~-])/(?:work|root|farm)/")
    skip = {".git", ".venv", ".hypothesis", ".pytest_cache", ".ruff_cache", "__pycache__"}
    found: list[str] = []
    for path in ROOT.rglob("*"):
        if path.is_file() and not skip.intersection(path.relative_to(ROOT).parts) and path != Path(__file__):
            try:
                text = path.read_text("utf-8")
            except UnicodeDecodeError:
                continue
            found += [
                f"{path.relative_to(ROOT)}:{n}" for n, line in enumerate(text.splitlines(), 1) if pattern.search(line)
            ]

    assert not found
