"""Results of a measurement: a report that prints, saves, plots and becomes a page, and several side by side."""

from infodil.report.comparison import ReportComparison, compare
from infodil.report.page import table_page
from infodil.report.report import RecoverabilityReport, load_report
from infodil.report.result import SavedResult
from infodil.report.saved import plain_json, read_result, write_result

__all__ = [
    "RecoverabilityReport",
    "load_report",
    "ReportComparison",
    "compare",
    "table_page",
    "SavedResult",
    "plain_json",
    "read_result",
    "write_result",
]
