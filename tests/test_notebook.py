"""A notebook that is run: reports and comparisons are tables there, and plots show themselves."""

import warnings
from pathlib import Path

import pytest
from synthetic_report import synthetic_report

pytestmark = pytest.mark.statistical  # a kernel takes seconds to start

CELLS = [
    "from infodil.report import compare, load_report\nreport = load_report('report.json')\nreport",
    "report.plot()",
    "compare({'one': report, 'two': report})",
    "compare({'one': report, 'two': report}).plot(size='column')",
]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    nbformat = pytest.importorskip("nbformat", reason="needs the packages nbclient and ipykernel")
    nbclient = pytest.importorskip("nbclient", reason="needs the packages nbclient and ipykernel")
    pytest.importorskip("ipykernel", reason="needs the packages nbclient and ipykernel")
    folder = tmp_path_factory.mktemp("notebook")
    synthetic_report(["<b>one", "two"], lags=range(5)).save(folder / "report.json")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return [cell["outputs"] for cell in notebook.cells]


def test_a_report_is_a_table_with_its_findings(outputs):
    (shown,) = outputs[0]
    text = shown["data"]["text/html"]
    assert "<table" in text and "Held longest" in text and "recoverable" in text and "<pre" not in text
    assert "<b>one" not in text and "&lt;b&gt;one" in text


@pytest.mark.parametrize("place", [1, 3])
def test_a_plot_shows_itself_once(outputs, place):
    (shown,) = outputs[place]
    assert shown["data"]["image/png"].startswith("iVBORw0KGgo")  # the signature of PNG in base 64


def test_a_comparison_is_a_table_with_its_largest_difference(outputs):
    (shown,) = outputs[2]
    assert "Largest difference" in shown["data"]["text/html"] and "one: two" in shown["data"]["text/html"]


def test_the_notebooks_of_the_documentation_run():
    """One kernel for all, so that torch is imported once; each notebook starts from an empty namespace."""
    nbformat = pytest.importorskip("nbformat", reason="needs the packages nbclient and ipykernel")
    nbclient = pytest.importorskip("nbclient", reason="needs the packages nbclient and ipykernel")
    pytest.importorskip("ipykernel", reason="needs the packages nbclient and ipykernel")
    paths = sorted((Path(__file__).resolve().parents[1] / "docs" / "notebooks").glob("*.ipynb"))
    assert len(paths) == 3
    cells = []
    for path in paths:
        code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        outputs = [output for cell in code for output in cell.outputs]
        assert len(outputs) > 2 and all(output.output_type != "error" for output in outputs), path.name
        assert all(output.get("name") != "stderr" for output in outputs), path.name  # no warning for a reader
        cells += [nbformat.v4.new_code_cell("%reset -f"), *(nbformat.v4.new_code_cell(cell.source) for cell in code)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nbclient.NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=300).execute()
