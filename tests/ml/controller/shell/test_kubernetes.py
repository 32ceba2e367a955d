from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from ml.kubernetes import ApiError, ServiceAccountToken, in_cluster_client


def test_renewed_token_is_used_when_the_kubelet_has_written_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(200)

    with httpx.Client(transport=httpx.MockTransport(answer), auth=ServiceAccountToken(file)) as client:
        for token in ("first\n", "second\n"):
            file.write_text(token, encoding="utf-8")
            client.get("https://api/")
    assert seen == ["Bearer first", "Bearer second"]


def test_error_says_what_is_missing_when_not_in_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ApiError, match="KUBERNETES_SERVICE_HOST=''"):
        in_cluster_client(tmp_path)
