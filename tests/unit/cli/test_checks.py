from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ml.cli.connection import Connection
from ml.cli.errors import UserError
from ml.cli.kubectl import Kubectl
from ml.cli.outputs import parse_outputs
from ml.cli.verify.check import Check, Outcome, run_checks
from ml.cli.verify.plan import plan_checks
from tests.unit.cli.platform import OUTPUTS


async def works() -> str:
    return "seen"


async def refuses() -> str:
    raise UserError("what is wrong", "what to do")


async def breaks() -> str:
    raise ConnectionError("reset\nby peer")


async def hangs() -> str:
    await asyncio.sleep(60)
    return "too late"


def run(*checks: Check) -> list[Outcome]:
    return asyncio.run(run_checks(checks, timeout_seconds=0.2))


def test_each_check_has_its_own_outcome_when_others_fail_or_hang() -> None:
    runs = (works, refuses, breaks, hangs)
    found = run(*(Check(component=it.__name__, what="x", run=it) for it in runs))
    assert [(it.component, it.ok, it.detail, it.remedy) for it in found] == [
        ("works", True, "seen", ""),
        ("refuses", False, "what is wrong", "what to do"),
        ("breaks", False, "ConnectionError: reset by peer", "see `mlp logs breaks`"),
        ("hangs", False, "not done within 0.2 s", "see `mlp logs hangs`"),
    ]
    assert all(it.milliseconds < 30_000 for it in found)


def test_remedy_is_the_status_when_a_component_has_no_logs() -> None:
    (found,) = run(Check(component="dns", what="x", run=breaks, has_logs=False))
    assert found.remedy == "see `mlp status`"


def test_interrupt_is_not_taken_for_a_failed_check() -> None:
    async def interrupted() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Check(component="x", what="x", run=interrupted))


def test_every_component_is_used_when_a_platform_is_verified() -> None:
    connection = Connection(stack="local", project_dir=Path(), environment={}, context=None)
    checks = plan_checks(Kubectl(connection), parse_outputs(OUTPUTS), "token")
    planned = [(it.component, it.what) for it in checks]
    assert planned == [
        ("metadata-db", "write and read a row as mlflow"),
        ("object-store", "put, get and delete an object as mlflow"),
        ("tracking-server", "log, read and delete a run with an artifact"),
        ("dns", "resolve the names of the services"),
        ("prometheus", "measure every part"),
        ("api", "list experiments, and refuse whoever has no token"),
        ("gateway", "open mlflow.example.org"),
        ("gateway", "open minio.example.org"),
        ("controller", "keep the split of content_quality_model"),
        ("content_quality_model", "predict in the stable slot"),
        ("content_quality_model", "predict through the gateway"),
    ]
