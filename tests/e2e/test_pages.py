"""The pages that people open, in a real browser through the gateway."""

from __future__ import annotations

import base64
from contextlib import AbstractContextManager

import pytest

from ml import contracts
from tests.e2e.cluster import Cluster
from tests.support.browser import Visitor, browsing

pytestmark = pytest.mark.e2e

MODEL = contracts.RESEARCH_PATTERN_PREDICTOR


def _host(cluster: Cluster, role: str) -> str:
    return str(cluster.outputs["hosts"][role])


def _browsing(cluster: Cluster, role: str) -> AbstractContextManager[Visitor]:
    return browsing({_host(cluster, role): cluster.instance.gateway_address})


def test_mlflow_shows_experiments_and_versions_when_opened_through_the_gateway(cluster: Cluster) -> None:
    champion = cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS)
    with _browsing(cluster, "mlflow") as visitor:
        address = f"http://{_host(cluster, 'mlflow')}"
        experiments = visitor.visit(f"{address}/#/experiments")
        experiments.page.get_by_text("Default", exact=True).first.wait_for()
        experiments.screenshot("mlflow-experiments")

        versions = visitor.visit(f"{address}/#/models/{MODEL}")
        versions.page.get_by_text(f"Version {champion}", exact=True).first.wait_for()
        versions.page.get_by_text(contracts.CHAMPION_ALIAS).first.wait_for()
        versions.screenshot("mlflow-versions")
        assert versions.foreign_origins() == set()


def test_object_store_shows_its_bucket_when_somebody_signs_in(cluster: Cluster) -> None:
    secret = cluster.get("secret", cluster.outputs["objectStore"]["adminSecret"])["data"]
    user, password = (base64.b64decode(secret[key]).decode() for key in ("username", "password"))
    with _browsing(cluster, "minio") as visitor:
        visit = visitor.visit(f"http://{_host(cluster, 'minio')}/login")
        visit.page.locator("#accessKey").fill(user)
        visit.page.locator("#secretKey").fill(password)
        visit.page.get_by_role("button", name="Login").click()
        visit.page.get_by_role("button", name="Acknowledge").click()  # the licence, shown to every new browser
        visit.page.get_by_text(cluster.outputs["objectStore"]["consumers"]["mlflow"]["bucket"]).first.wait_for()
        visit.screenshot("object-store")
        assert visit.foreign_origins() == set()
