"""`mlp plan` and `mlp analyze`, run as a person would: real files in, text, data and pictures out."""

from __future__ import annotations

import csv
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from ml.experiments.ratio import proportion_sums
from ml.experiments.specification import PrimaryMetric
from ml.experiments.strata import Stratum, mantel_haenszel
from ml.reporting.analyze import Question, UnusableTableError, analyze
from ml.reporting.app import register
from ml.reporting.plan import make_plan
from ml.reporting.reading import UnreadableFileError, read_table

RUNNER = CliRunner()


def app() -> typer.Typer:
    application = typer.Typer()
    register(application)
    return application


def run(*arguments: str) -> Any:
    return RUNNER.invoke(app(), list(arguments))


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    """3,000 users with one to three rows each; the candidate converts better and is a bit slower."""
    rng = np.random.default_rng(1)
    path = tmp_path / "experiment.csv"
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["user", "arm", "converted", "latency_ms", "score", "score_before"])
        for user in range(3_000):
            arm = ("candidate", "control")[user % 2]
            level = rng.normal(10.0, 2.0)
            for _ in range(int(rng.integers(1, 4))):
                converted = int(rng.uniform() < (0.16 if arm == "candidate" else 0.10))
                latency = float(np.exp(rng.normal(4.0, 0.5))) * (1.25 if arm == "candidate" else 1.0)
                score = "" if rng.uniform() < 0.01 else f"{level + rng.normal(0.2 * (arm == 'candidate'), 1.0):.4f}"
                writer.writerow([f"u{user}", arm, converted, f"{latency:.2f}", score, f"{level:.4f}"])
    return path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--effect", "1e-200", "--sd", "1"), "minimum_effect=1e-200"),
        (("--effect", "1", "--sd", "1e200"), "standard_deviation=1e+200"),
        (("--effect", "0.001", "--sd", "1", "--users-per-day", "1e-300"), "units_per_day=1e-300"),
    ],
)
def test_plan_names_the_number_when_no_experiment_could_be_so_large(arguments: tuple[str, ...], says: str) -> None:
    result = run("plan", "--baseline", "10", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "allowed" in result.stderr


def test_plan_says_size_duration_and_chances_when_asked() -> None:
    result = run("plan", "--baseline", "0.05", "--effect", "0.01", "--users-per-day", "5000")
    assert result.exit_code == 0, result.output
    assert "8,608 users per arm" in result.output
    assert "3.5 days" in result.output
    assert "| +0.01 | 80.0% |" in result.output
    assert "| +0 | 2.5% |" in result.output


def test_plan_is_data_when_json_is_asked_for() -> None:
    data = json.loads(
        run("plan", "--baseline", "10", "--effect", "0.5", "--sd", "4", "--treatments", "2", "--json").output
    )
    assert data["size"]["required_n"] > data["size"]["fixed_n"]
    chances = data["outcomes"]
    assert all(abs(c["promoted"] + c["rolled_back"] + c["inconclusive"] - 1.0) < 1e-9 for c in chances)
    assert [c["promoted"] for c in chances] == sorted(c["promoted"] for c in chances)


def test_picture_is_written_when_a_png_is_named(tmp_path: Path, file: Path) -> None:
    for arguments in (["plan", "--baseline", "0.05", "--effect", "0.01"], ["analyze", str(file), "--user", "user"]):
        picture = tmp_path / f"{arguments[0]}.png"
        result = run(*arguments, "--png", str(picture))
        assert result.exit_code == 0, result.output
        image: Any = importlib.import_module("PIL.Image").open(picture)
        assert image.format == "PNG"
        assert image.size[0] >= 600
        assert len(set(image.convert("RGB").resize((80, 40)).get_flattened_data())) > 3  # something is drawn


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--baseline", "1.5", "--effect", "0.1"], "baseline"),
        (["--baseline", "0.05", "--effect", "-0.1"], "minimum_effect"),
        (["--baseline", "0.05", "--effect", "0.01", "--power", "1"], "power"),
        (["--baseline", "0.05", "--effect", "0.01", "--users-per-day", "0"], "units_per_second"),
    ],
)
def test_plan_refuses_in_one_line_when_numbers_make_no_sense(arguments: list[str], message: str) -> None:
    result = run("plan", *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_report_finds_what_is_there_when_users_repeat(file: Path) -> None:
    table = read_table(file)
    report = analyze(table, Question(user="user", before={"score": "score_before"}, quantiles=(0.95,)))
    found = {finding.metric: finding for finding in report.findings}
    assert report.control == "control"
    assert report.units == {"candidate": 1_500, "control": 1_500}
    assert report.sample_ratio is not None
    assert report.sample_ratio.p_value == 1.0
    assert found["converted"].adjusted_p_value < 0.001
    assert found["converted"].interval.contains(0.06)
    assert found["latency_ms [P95]"].difference > 0
    assert found["latency_ms [P95]"].adjusted_p_value < 0.01
    plain, adjusted = found["score"].interval, found["score [CUPED]"].interval
    assert adjusted.high - adjusted.low < 0.5 * (plain.high - plain.low)
    assert "left out" in found["score"].note
    for finding in report.findings:
        assert finding.anytime_interval.low < finding.interval.low
        assert finding.interval.contains(finding.difference)


def test_report_is_the_same_when_read_from_parquet(file: Path, tmp_path: Path) -> None:
    pyarrow: Any = importlib.import_module("pyarrow.csv")
    parquet = tmp_path / "experiment.parquet"
    importlib.import_module("pyarrow.parquet").write_table(pyarrow.read_csv(str(file)), str(parquet))
    outputs = [run("analyze", str(path), "--user", "user", "--json").output for path in (file, parquet)]
    assert outputs[0] == outputs[1]


def test_report_is_written_to_a_file_when_asked(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.md"
    result = run("analyze", str(file), "--user", "user", "--quantile", "0.95", "--output", str(target))
    assert result.exit_code == 0, result.output
    text = target.read_text(encoding="utf-8")
    for part in (
        "# Experiment report",
        "sample ratio: sound",
        "| converted | candidate |",
        "latency_ms [P95]",
        "## Methods",
    ):
        assert part in text


def test_ramp_does_not_reverse_the_sign_when_epochs_are_named(tmp_path: Path) -> None:
    # Crook et al. 2009, scaled down: better on both days, worse when pooled.
    cells = [(1, "C", 198, 9_702), (1, "T", 3, 97), (2, "C", 50, 4_950), (2, "T", 60, 4_940)]
    path = tmp_path / "ramp.csv"
    with path.open("w", encoding="utf-8") as handle:
        handle.write("day,variant,bought\n")
        for day, variant, yes, no in cells:
            handle.write(f"{day},{variant},1\n" * yes + f"{day},{variant},0\n" * no)
    pooled = analyze(read_table(path), Question(arm="variant", control="C", metrics=("bought",)))
    by_day = analyze(read_table(path), Question(arm="variant", control="C", metrics=("bought",), epoch="day"))
    assert pooled.findings[0].difference < 0 < by_day.findings[0].difference
    assert by_day.sample_ratio is None
    strata = [
        Stratum(proportion_sums(198, 9_900), proportion_sums(3, 100)),
        Stratum(proportion_sums(50, 5_000), proportion_sums(60, 5_000)),
    ]
    assert by_day.findings[0].difference == pytest.approx(mantel_haenszel(strata).difference)


def test_mismatch_is_shouted_when_arms_are_uneven(tmp_path: Path) -> None:
    path = tmp_path / "uneven.csv"
    path.write_text("arm,x\n" + "control,1\ncontrol,0\n" * 600 + "b,1\nb,0\n" * 400, encoding="utf-8")
    assert "MISMATCH" in run("analyze", str(path)).output
    assert "sound" in run("analyze", str(path), "--weight", "control=0.6", "--weight", "b=0.4").output


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("arm,x\na,1\nb,2\n", ["--arm", "group"], "group"),
        ("arm,x\na,1\nb,2\n", ["--metric", "y"], "'y'"),
        ("arm,x\na,1\nb,2\n", ["--control", "c"], "'c'"),
        ("arm,x\na,1\na,2\n", [], "1 arms"),
        ("arm,x\na,1\nb,2\n", [], "at least 2 values"),
        ("arm,x\na,1\na,1\nb,1\nb,1\n", ["--weight", "a"], "NAME=VALUE"),
        ("arm,name\na,p\nb,q\n", [], "no numeric column"),
        ("arm,x\n", [], "at least one row"),
        ("arm,x\na,1\n,2\n", [], "empty cells"),
        ("arm,x\na,5\na,5\nb,5\nb,5\n", [], "variance"),
    ],
)
def test_analyze_refuses_in_one_line_when_a_file_cannot_be_used(
    tmp_path: Path, content: str, arguments: list[str], message: str
) -> None:
    path = tmp_path / "file.csv"
    path.write_text(content, encoding="utf-8")
    result = run("analyze", str(path), *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_unreadable_files_are_named_when_they_are_not_what_they_seem(tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_text("this is no parquet", encoding="utf-8")
    for path in (broken, tmp_path / "absent.csv", tmp_path / "file.xlsx"):
        with pytest.raises(UnreadableFileError, match=path.name):
            read_table(path)


def test_plan_matches_the_specification_when_shares_are_uneven() -> None:
    primary = PrimaryMetric(name="m", better="decrease", minimum_effect=5.0, baseline=100.0, standard_deviation=40.0)
    made = make_plan(primary, units_per_day=10_000.0, treatment_share=0.1, ramp_seconds=3_600.0)
    assert made.duration is not None
    assert made.duration.slowest_arm == 1
    assert 0.8 <= made.outcomes[3].promoted < 0.83  # fewer looks than planned for leave a little more power
    with pytest.raises(ValueError, match="shares"):
        make_plan(primary, treatments=3, treatment_share=0.5)


def test_column_is_named_when_the_covariate_is_missing(file: Path) -> None:
    with pytest.raises(UnusableTableError, match="nothing_before"):
        analyze(read_table(file), Question(before={"score": "nothing_before"}))
