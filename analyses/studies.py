"""Every study: its script, what is typed to run it, its tables, and about how long it takes."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["STUDIES", "StudyCommand"]


@dataclass(frozen=True)
class StudyCommand:
    """How a study is run, and what it writes.

    Args:
        module: Name of the script below `analyses`.
        minutes: Rough time on one idle core.
        tables: Tables that it writes.
        arguments: What is typed behind the module.
        data: Whether it reads the folder of corpora and models.
        gpu: Whether it needs a GPU; `make results` leaves it out on a machine without one.
    """

    module: str
    minutes: int
    tables: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    data: bool = False
    gpu: bool = False

    @property
    def script(self) -> str:
        """Path of the script below the root of the repository."""
        return f"analyses/{self.module.replace('.', '/')}.py"

    def command(self, data: Path | None = None) -> list[str]:
        """What is typed behind `python -m`; the word FOLDER stands for a folder that is not given."""
        folder = ["--data", "FOLDER" if data is None else str(data)] if self.data else []
        return [f"analyses.{self.module}", *self.arguments, *folder]


PARTS = ("headline", "sizes", "transfer", "verb-final", "rivals", "ceilings", "picture")
STUDIES = (
    StudyCommand("benchmarks.import_time", 1, ("benchmark_import_time",)),
    StudyCommand("benchmarks.small_estimates", 1, ("benchmark_small_estimates",)),
    StudyCommand("benchmarks.ema_scan", 3, ("benchmark_ema_scan",)),
    StudyCommand("benchmarks.recurrent_overhead", 4, ("benchmark_recurrent_overhead",)),
    StudyCommand("depth_survival", 2, ("depth_survival",), data=True),
    StudyCommand("whole_past", 8, ("whole_past",), data=True),
    StudyCommand("demo_states", 4, ("demo_states",)),
    StudyCommand("calibration_discrete", 4, ("calibration_discrete",)),
    StudyCommand("calibration_groups", 6, ("calibration_groups", "calibration_groups_fitted")),
    StudyCommand("calibration_columns", 4, ("calibration_columns",)),
    StudyCommand("benchmarks.gaussian_probe", 5, ("benchmark_gaussian_probe",)),
    StudyCommand("sketched_states", 4, ("sketched_states",)),
    StudyCommand("processing_chain", 5, ("processing_chain",), data=True),
    StudyCommand("benchmarks.peak_memory", 6, ("benchmark_peak_memory",)),
    StudyCommand("benchmarks.linear_probe", 10, ("benchmark_linear_probe",)),
    StudyCommand("depth_sweep", 8, ("depth_sweep",)),
    StudyCommand(
        "depth_trained",
        25,
        ("depth_trained_rates", "depth_trained", "depth_trained_documents", "depth_trained_gradients"),
        data=True,
    ),
    StudyCommand("estimators_beside_peers", 10, ("estimators_beside_peers",)),
    StudyCommand("benchmarks.depth_map", 5, ("depth_map", "benchmark_depth_map"), data=True),
    StudyCommand("depth_trained_survival", 6, ("depth_trained_survival",), data=True),
    StudyCommand("benchmarks.lm_loop", 3, ("benchmark_lm_loop",)),
    StudyCommand("depth_trained_verdict", 1, ("depth_trained_verdict",)),
    StudyCommand("benchmarks.plain_loops", 10, ("benchmark_plain_loops",), data=True),
    StudyCommand("superposition_phase", 10, ("superposition_phase",)),
    StudyCommand("superposition_length", 15, ("superposition_length",)),
    StudyCommand("structure_and_content", 15, ("structure_and_content",)),
    StudyCommand("trained_states", 7, ("trained_states",), data=True),
    StudyCommand("superposition_real_text", 15, ("superposition_real_text",), data=True),
    StudyCommand("treebank_roles", 20, ("roles_treebank",), data=True),
    StudyCommand(
        "grammatical_roles",
        40,
        (
            *("roles_headline", "roles_sizes", "roles_transfer", "roles_verb_final", "roles_rivals", "roles_ceilings"),
            *("roles_confusion", "roles_sentence"),
        ),
        PARTS,
    ),
    StudyCommand("roles_table", 1, ("roles_table",)),
    StudyCommand("roles_labels", 8, ("roles_labels", "roles_labels_crossings")),
    StudyCommand("roles_transfer_steps", 6, ("roles_transfer_steps",)),
    StudyCommand("roles_induction", 6, ("roles_induction",), data=True),
    StudyCommand("continuous_benchmark", 30, ("continuous_benchmark", "continuous_wide")),
    StudyCommand("recoverability_on_real_text", 20, ("recoverability_on_real_text",), data=True),
    StudyCommand(
        "ema_language_model",
        62,
        (
            *("ema_language_model_rates", "ema_language_model", "ema_language_model_ratio"),
            *("ema_language_model_trend", "ema_predictor_ablation", "ema_gap_decomposition"),
        ),
        data=True,
    ),
    StudyCommand("lm_budgets", 60, ("lm_budgets",), ("--minutes", "60"), data=True),
    StudyCommand("lm_verdicts", 2, ("lm_budgets_ratio", "lm_budgets_where", "lm_budgets_scaling", "lm_verdicts")),
    StudyCommand("superposition_decoder", 90, ("superposition_decoder", "superposition_float32")),
    StudyCommand("sandwich", 5, ("sandwich",)),
    StudyCommand("reference_encoders", 20, ("reference_encoders",), data=True),
    StudyCommand("benchmarks.gpu", 10, ("benchmark_gpu",), gpu=True),
    StudyCommand("small_traces", 90, ("small_traces",)),
    StudyCommand("calibration_states", 90, ("calibration_states", "calibration_vectors"), ("--seeds", "20")),
)
"""In the order in which `make results` runs them: a study that reads the table of another stands after it."""
