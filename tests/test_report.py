"""What a report shows is what was measured: it survives saving, fits a terminal, and hostile text stays text."""

import base64
import hashlib
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from synthetic_report import LAGS, synthetic_report

from infodil.checks import UserError
from infodil.estimate import Estimate
from infodil.report import RecoverabilityReport, ReportComparison, compare, load_report
from infodil.report.names import short_names
from infodil.report.report import COLUMNS, SUMMARY_COLUMNS
from infodil.report.sentences import control_sentence
from infodil.report.table import lag_subset, report_table

HOSTILE = [
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"'>", "\x00\x1b[31m", "\u202eabc", "\ud800",
    "\u2028", "&lt;", "[[data]]", "<!--", "\n", "\t", "", " ", "日本",
]  # fmt: skip
LONG = [f"model.layers.{place}.self_attention.output_projection.dense" for place in range(8)]


@pytest.fixture
def report():
    return synthetic_report()


# ---------------------------------------------------------------------------------------------------- the report itself


def test_a_saved_report_comes_back_equal_and_with_the_same_bytes(tmp_path, report):
    first, second = report.save(tmp_path / "a.json"), load_report(tmp_path / "a.json").save(tmp_path / "b.json")
    assert load_report(first) == report
    assert first.read_bytes() == second.read_bytes()
    content = json.loads(first.read_text())
    assert (content["format"], content["schema_version"]) == ("infodil.recoverability", 2)


def test_equal_reports_have_equal_hashes(tmp_path, report):
    loaded = load_report(report.save(tmp_path / "a.json"))
    assert len({report, loaded, synthetic_report(seed=1)}) == 2
    together = compare({"a": report})
    assert {together: 1}[compare({"a": loaded})] == 1


def test_a_report_of_the_first_schema_loads_under_the_new_names(tmp_path, report):
    content = report.to_dict() | {"schema_version": 1}
    content["passage"] = content.pop("text_view")
    content["rows"] = [dict(row) for row in content["rows"]]
    for row in content["rows"]:
        del row["selected_probe"]
        row["answered_by"] = row["probe"]
    (tmp_path / "old.json").write_text(json.dumps(content))
    loaded = load_report(tmp_path / "old.json")
    assert loaded.text_view == report.text_view
    assert all(row["selected_probe"] == row["probe"] and "answered_by" not in row for row in loaded.rows)


def test_a_comparison_is_saved_and_loaded_like_a_report(tmp_path, report):
    together = compare({"b": report, "a": synthetic_report(lags=range(3))})
    loaded = ReportComparison.load(together.save(tmp_path / "both.json"))
    assert loaded == together and list(loaded.reports) == ["b", "a"] and loaded.warnings
    assert type(report).load(report.save(tmp_path / "one.json")) == report
    with pytest.raises(UserError, match="which is JSON but not a comparison"):
        ReportComparison.load(tmp_path / "one.json")


def test_hostile_tokens_survive_saving(tmp_path):
    report = synthetic_report(tokens=HOSTILE)
    assert load_report(report.save(tmp_path / "a.json")).text_view["tokens"] == HOSTILE


def test_numbers_that_are_not_finite_and_numpy_scalars_become_plain_json(tmp_path):
    rows = [{"site": "a", "lag": np.int64(3), "probe": "prior", "value_bits": math.nan, "low_bits": -math.inf}]
    rows[0] |= {"top1": np.float64(0.1), "chosen": np.bool_(True)}
    report = synthetic_report(rows=tuple(rows), summary=(), config={"lags": range(2), "at": np.arange(2)})
    assert report.rows[0]["value_bits"] is report.rows[0]["low_bits"] is None
    assert type(report.rows[0]["lag"]) is int and report.rows[0]["chosen"] is True
    assert report.config == {"lags": [0, 1], "at": [0, 1]}
    assert load_report(report.save(tmp_path / "a.json")) == report


def test_rows_stand_in_the_order_of_sites_lags_and_probes(report):
    shuffled = [report.rows[place] for place in np.random.default_rng(0).permutation(len(report.rows))]
    assert synthetic_report(rows=tuple(shuffled), probe_order=report.probe_order) == report
    assert [(row["site"], row["lag"], row["probe"]) for row in report.rows[2:4]] == [
        ("embedding", 0, "linear"),
        ("embedding", 1, "prior"),
    ]


def test_the_frame_has_the_columns_in_order(report):
    frame = report.to_frame()
    assert list(frame.columns) == COLUMNS
    assert len(frame) == 3 * len(LAGS) * 3
    assert set(report.summary[0]) == set(SUMMARY_COLUMNS)
    assert list(report.summary_frame().columns) == SUMMARY_COLUMNS
    assert report.summary_frame()["site"].tolist() == list(report.sites)


def test_an_estimate_is_the_row_and_by_default_of_the_selected_probe(report):
    row = next(r for r in report.rows if (r["site"], r["lag"], r["probe"]) == ("layer.0", 4, "linear"))
    estimate = report.estimate("layer.0", 4)
    assert isinstance(estimate, Estimate)
    assert (estimate.value_bits, estimate.low_bits, estimate.high_bits) == (
        row["value_bits"],
        row["low_bits"],
        row["high_bits"],
    )
    assert (estimate.kind, estimate.method, estimate.samples) == ("lower bound", "linear", 20000 - 160)
    assert report.estimate("layer.0", 4, "gaussian").method == "gaussian"


def test_an_estimate_of_what_was_not_measured_says_what_was(report):
    with pytest.raises(UserError, match=r"`site` must be one of .*: did you mean 'layer.0' or 'layer.1'\?"):
        report.estimate("layer.7", 0)
    with pytest.raises(UserError, match=r"`lag` must be one that was measured at 'layer.0' \(0, 1, .*128\), got 7\."):
        report.estimate("layer.0", 7)
    with pytest.raises(UserError, match=r"`probe` must be one of .*, got 'liner': did you mean 'linear'"):
        report.estimate("layer.0", 0, "liner")


def test_an_estimate_where_no_probe_was_selected_asks_for_one(report):
    unchosen = synthetic_report(rows=tuple({**row, "chosen": False} for row in report.rows))
    with pytest.raises(UserError, match=r"`probe` must be named at 'layer.0', lag 0, where none was selected"):
        unchosen.estimate("layer.0", 0)


def test_a_report_is_light_to_import():
    code = "import sys, infodil.report; sys.exit(bool({'torch', 'pandas', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# ---------------------------------------------------------------------------------------------------- files


def test_no_such_file(tmp_path):
    with pytest.raises(UserError, match=r"`path` .*no\.json', where there is no file: check the spelling"):
        load_report(tmp_path / "no.json")


def test_a_folder_is_no_report(tmp_path):
    with pytest.raises(UserError, match="where there is no file"):
        load_report(tmp_path)


@pytest.mark.parametrize(
    "content", [b"not json", b"\xff\xfe\x00", b"", b"[" * 200_000], ids=["words", "bytes", "empty", "deep"]
)
def test_a_file_that_is_not_json(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"`path` must be a saved report, got .*a\.json', which is not JSON"):
        load_report(tmp_path / "a.json")


@pytest.mark.parametrize("content", ["[]", "{}", '{"format": "other"}', "3"])
def test_json_that_is_not_a_report(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UserError, match=r"JSON but not a recoverability report: pass a file that report.save wrote"):
        load_report(tmp_path / "a.json")


def test_a_report_of_a_newer_schema(tmp_path, report):
    (tmp_path / "a.json").write_text(json.dumps({**report.to_dict(), "schema_version": 3}))
    with pytest.raises(UserError, match=r"schema version 2 or older, got .* of version 3: install a newer infodil\."):
        load_report(tmp_path / "a.json")


@pytest.mark.parametrize("damage", [{"rows": None}, {"rows": [3]}, {"rows": [{}]}, {"summary": [{}]}, {"model": 3}])
def test_a_damaged_report(tmp_path, report, damage):
    (tmp_path / "a.json").write_text(json.dumps({**report.to_dict(), **damage}))
    with pytest.raises(UserError, match=r"which is damaged \(.*\): measure again"):
        load_report(tmp_path / "a.json")


@pytest.mark.parametrize("write", ["save", "to_html"])
def test_nothing_is_left_where_writing_fails(tmp_path, report, write, monkeypatch):
    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        getattr(report, write)(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------------- the table


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize(
    "sites",
    [["h"], ["embedding", "layer.0", "layer.1"], LONG[:1], LONG[:2], LONG],
    ids=lambda s: f"{len(s)}x{len(s[0])}",
)
def test_the_table_fits_the_width(sites, width):
    text = report_table(synthetic_report(sites).to_dict(), width)
    assert max(map(len, text.splitlines())) <= width


def test_large_numbers_and_long_intervals_still_fit():
    wide = [{**row, "recoverable_bits": 12345.678, "recoverable_low_bits": 11345.6, "recoverable_high_bits": 13345.7}
            for row in synthetic_report(LONG).summary]  # fmt: skip
    text = report_table(synthetic_report(LONG, summary=tuple(wide)).to_dict(), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "12,346" in text


def test_the_print_says_what_the_figures_are(report, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    text = str(report)
    assert max(map(len, text.splitlines())) <= 100
    for words in [
        "ema on sample",
        "certified lower bounds",
        "precision float32",
        "pointwise at 95% confidence",
        "not joint",
        "0 of 9 controls exclude zero",
        "Warning: The longest lag",
        "to_frame() has them all",
        "ceiling H(X)",
    ]:
        assert words in text.replace("\n  ", " ").replace("\n", " ")
    total = report.summary[0]["recoverable_bits"]
    assert f"{total:.2f} [{total - 0.6:.2f}, {total + 0.6:.2f}]" in text


def test_one_site_is_shown_lag_by_lag():
    text = report_table(synthetic_report(["h"], lags=range(4)).to_dict(), 80)
    assert len([line for line in text.splitlines() if line.endswith("linear")]) == 4


def test_a_half_life_beyond_the_longest_lag_says_so(report):
    text = report_table(synthetic_report(lags=range(2)).to_dict(), 80)
    assert ">1" in text


def test_the_print_obeys_no_control_character():
    text = str(synthetic_report(["a\x1b[2Jb"], model={"name": "m\r\x07"}, warnings=("\x1b]0;title",)))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)


def test_an_empty_report_prints():
    assert "Recoverability" in str(RecoverabilityReport((), (), {}, {}, {}, {}))


def test_the_representation_is_one_short_line(report):
    assert "\n" not in repr(report) and len(repr(report)) < 140
    assert "3 sites x 17 lags x 3 probes" in repr(report)
    assert "<script" not in synthetic_report(model={"name": "<script>"})._repr_html_()


@pytest.mark.parametrize("lags", [range(3), range(64), LAGS, [5, 900, 901, 902, 903]], ids=str)
@pytest.mark.parametrize("most", [2, 5, 12])
def test_a_subset_of_lags_is_sorted_short_and_keeps_both_ends(lags, most):
    picked = lag_subset(lags, most)
    assert picked == sorted(set(picked)) and set(picked) <= set(lags)
    assert len(picked) == min(most, len(lags))
    assert (picked[0], picked[-1]) == (lags[0], lags[-1])


@pytest.mark.parametrize(
    "names",
    [LONG, ["a" * 40 + "x" + "b" * 40, "a" * 40 + "y" + "b" * 40], [f"layer.{n}.attention" for n in range(12)]],
    ids=len,
)
def test_short_names_are_short_and_distinct(names):
    short = short_names(names, 12)
    assert len(set(short.values())) == len(names)
    assert max(map(len, short.values())) <= 12


def test_a_control_away_from_zero_is_counted(report):
    rows = [
        {**row, "shuffled_low_bits": 0.02, "shuffled_bits": 0.5} if row["probe"] == "linear" else row
        for row in report.rows
    ]
    assert control_sentence(rows).startswith("Shuffled control: the largest is +0.500 bits; the intervals of 3 of 9")
    assert control_sentence([{**row, "shuffled_bits": None} for row in rows]) == "No shuffled control was measured."


# ---------------------------------------------------------------------------------------------------- the page


class Page(HTMLParser):
    """The tags of a page, with what the script elements hold."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.inside = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, text):
        if self.inside == "script":
            self.scripts.append(text)


@pytest.fixture
def hostile_page(tmp_path):
    evil = HOSTILE[0] + HOSTILE[1]
    report = synthetic_report(
        ["h", "<b>site"], tokens=HOSTILE, warnings=(evil,), model={"name": evil, evil: evil}, provenance={"host": evil}
    )
    return report.to_html(tmp_path / "a.html").read_text(encoding="utf-8")


def test_hostile_text_is_never_markup(hostile_page):
    page = Page(hostile_page)
    assert hostile_page.lower().count("<script") == hostile_page.lower().count("</script") == 2
    assert [attributes for tag, attributes in page.tags if tag == "img"] == [
        attributes for tag, attributes in page.tags if attributes.get("class") == "figure"
    ]
    assert "<b>site" not in hostile_page
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "\u202e" not in hostile_page and "\u2028" not in hostile_page and "\x1b" not in hostile_page


def test_the_embedded_data_is_the_report(hostile_page):
    data = json.loads(Page(hostile_page).scripts[0])
    assert data["text_view"]["tokens"] == HOSTILE
    assert len(data["rows"]) == 2 * len(LAGS) * 3
    assert data["columns"][:5] == ["site", "kind_of_site", "lag", "probe", "value_bits"]


def test_the_page_fetches_nothing_and_runs_one_script(hostile_page):
    page = Page(hostile_page)
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.scripts[1].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ") and f"script-src 'sha256-{digest}'" in policy
    sources = [a[name] for _, a in page.tags for name in ("src", "href", "action", "srcset") if name in a]
    assert all(source.startswith(("data:image/svg+xml;base64,", "#")) for source in sources)
    assert "url(" not in hostile_page and "@import" not in hostile_page
    outside = set(re.findall(r"https?://[^\"' ]+", hostile_page))
    assert outside <= {"http://www.w3.org/2000/svg"}  # a name, not an address


def test_the_page_script_makes_no_markup_of_text(hostile_page):
    script = Page(hostile_page).scripts[1]
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|setTimeout\(['\"]", script
    )


def test_the_page_says_the_headline_the_controls_and_the_warnings(tmp_path, report):
    text = report.to_html(tmp_path / "a.html").read_text(encoding="utf-8")
    total = report.summary[1]["recoverable_bits"]
    for words in [f"{total:.2f}", "0 of 9 controls exclude zero", "41 documents", "float32", "ema on sample"]:
        assert words in text


@pytest.mark.statistical
def test_the_same_report_gives_the_same_page(tmp_path, report):
    loaded = load_report(report.save(tmp_path / "a.json"))
    first, second = report.to_html(tmp_path / "a.html"), loaded.to_html(tmp_path / "b.html")
    assert first.read_bytes() == second.read_bytes()


def test_a_report_with_nothing_in_it_becomes_a_page(tmp_path):
    RecoverabilityReport((), (), {}, {}, {}, {}).to_html(tmp_path / "a.html")
    synthetic_report(text_view=None).to_html(tmp_path / "b.html")


# ---------------------------------------------------------------------------------------------------- side by side


def test_like_reports_compare_without_a_warning(report):
    together = compare({"a": report, "b": synthetic_report(seed=1)})
    assert together.warnings == ()
    frame = together.to_frame()
    assert list(frame.columns) == ["report", *COLUMNS]
    assert frame.groupby("report").size().to_dict() == {"a": len(report.rows), "b": len(report.rows)}


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"lags": range(3)}, r"measured different lags \(a: 17 lags, 0 to 128; b: 0, 1, 2\): sums over the lags"),
        ({"corpus": {"name": "sample", "sha256": "ee" * 32}}, r"are of different texts \(a: sample, sha256 cdcd"),
        ({"config": {"precision": "bfloat16"}}, r"different precisions \(a: float32; b: bfloat16\)"),
        ({"config": {"tokenizer": "bytes"}}, r"split the text in different ways \(a: words; b: bytes\)"),
        ({"model": {"name": "gru", "vocabulary": 256}}, r"vocabularies of different sizes \(a: 4096; b: 256\)"),
        ({"config": {"confidence": 0.9}}, r"different confidence \(a: 0.95; b: 0.9\)"),
    ],
    ids=["lags", "corpus", "precision", "tokenizer", "vocabulary", "confidence"],
)
def test_what_forbids_to_compare_is_said(report, change, warning):
    together = compare({"a": report, "b": synthetic_report(**change)})
    assert len(together.warnings) == 1
    assert re.search(warning, together.warnings[0])
    assert "Warning: The reports" in str(together)


def test_the_comparison_fits_the_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = str(compare({"a" * 90: synthetic_report(LONG), "b": synthetic_report(config={"precision": "int8"})}))
    assert max(map(len, text.splitlines())) <= 80
    assert "b (ema on sample):" in text


@pytest.mark.statistical
def test_the_comparison_becomes_a_page(tmp_path, report):
    together = compare({"<i>a": report, "b": synthetic_report(lags=range(12), tokens=HOSTILE)})
    text = together.to_html(tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<i>" not in text and text.count("<script") == 2
    assert "&gt;11" in text  # the half-life of b is beyond b's longest lag
    assert {row[0] for row in json.loads(Page(text).scripts[0])["rows"]} >= {"<i>a: layer.0", "b: layer.0"}


def test_comparing_nothing_or_not_reports(report):
    with pytest.raises(UserError, match="`reports` must not be empty"):
        compare({})
