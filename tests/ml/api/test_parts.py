"""Parts of the API that need no server: settings, rates, tokens in a folder, JSON, the gathering of outcomes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.api.auth import Authenticator, bearer_token
from ml.api.gathering import GatheredOutcomes
from ml.api.local_tokens import LocalTokens
from ml.api.problems import ProblemError
from ml.api.rates import RateLimiter
from ml.api.settings import Rates, SettingsError, load_settings
from ml.api.strict_json import MAX_DEPTH, JsonError, parse_json
from ml.events.counting import IngestResult, Outcome
from ml.events.ports import StoreUnavailableError

GOOD = {"NAMESPACE": "platform", "TOKENS_DIR": "/tokens"}
LEAVES = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
DOCUMENTS = st.recursive(LEAVES | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20)


def depth(value: Any) -> int:
    parts: list[Any] = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - JSON
    return (1 if isinstance(value, dict | list) else 0) + max((depth(part) for part in parts), default=0)


@given(document=DOCUMENTS, ascii_only=st.booleans())
def test_json_comes_back_as_it_was_when_it_is_not_too_deep(document: Any, ascii_only: bool) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only).encode()
    if depth(document) <= MAX_DEPTH:
        assert parse_json(text) == document
    else:
        with pytest.raises(JsonError, match="nested"):
            parse_json(text)


@given(text=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_when_they_are_no_json(text: bytes) -> None:
    with contextlib.suppress(JsonError):
        parsed = parse_json(text)
        assert parse_json(json.dumps(parsed).encode()) == parsed


def test_settings_have_defaults_when_only_the_needed_is_given() -> None:
    settings = load_settings(GOOD)
    assert (settings.port, settings.tokens_dir, settings.oidc, settings.graphiql) == (
        8000,
        Path("/tokens"),
        None,
        False,
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"NAMESPACE": ""}, "NAMESPACE is not set"),
        ({"TOKENS_DIR": ""}, "at least one source of tokens"),
        ({"PROMETHEUS_URL": "prometheus:9090"}, "an address such as http://HOST:PORT"),
        ({"API_PORT": "0"}, "API_PORT='0': allowed is a whole number from 1 to 65535"),
        ({"RATE_READS_PER_SECOND": "fast"}, "RATE_READS_PER_SECOND='fast'"),
        ({"GRAPHIQL": "yes"}, "allowed are true and false"),
        ({"OIDC_ISSUER": "https://i"}, "OIDC_AUDIENCE, OIDC_JWKS_URL not set"),
        (
            {"OIDC_ISSUER": "i", "OIDC_AUDIENCE": "a", "OIDC_JWKS_URL": "https://k", "OIDC_ALGORITHMS": "none,HS256"},
            "['HS256', 'none']",
        ),
        ({"OIDC_ISSUER": "i", "OIDC_AUDIENCE": "a", "OIDC_JWKS_URL": "file:///k"}, "begins with https://"),
    ],
)
def test_settings_name_the_variable_when_it_is_wrong(changes: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({**GOOD, **changes})
    assert words in str(refused.value)


def test_a_client_gets_its_rate_and_a_burst_when_it_asks_steadily() -> None:
    now = [0.0]
    limiter = RateLimiter(Rates(reads_per_second=10), clock=lambda: now[0])
    for _ in range(20):
        limiter.spend("ann", "reads")
    with pytest.raises(ProblemError) as refused:
        limiter.spend("ann", "reads")
    assert refused.value.problem.status == 429
    limiter.spend("ben", "reads")
    now[0] += 1.0
    for _ in range(10):
        limiter.spend("ann", "reads")


def test_a_large_batch_passes_and_leaves_a_debt_when_the_bucket_is_full() -> None:
    now = [0.0]
    limiter = RateLimiter(Rates(outcomes_per_second=100), clock=lambda: now[0])
    limiter.spend("ann", "outcomes", 1000)
    now[0] += 5.0
    with pytest.raises(ProblemError):
        limiter.spend("ann", "outcomes")
    now[0] += 4.0
    limiter.spend("ann", "outcomes")


def test_tokens_of_a_folder_count_when_long_enough(tmp_path: Path) -> None:
    (tmp_path / "read").write_text("r" * 32 + "\n")
    (tmp_path / "write").write_text("short")
    authenticator = Authenticator([LocalTokens(tmp_path)])
    known = asyncio.run(authenticator.authenticate("r" * 32))
    assert known is not None
    assert (known.subject, known.scopes) == ("local:read", frozenset({"read"}))
    for other in ("short", "", "r" * 31, "x" * 9000, "\u00e9" * 40):
        assert asyncio.run(authenticator.authenticate(other)) is None


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", None), ("Bearer", None), ("", None), (None, None)],
)
def test_a_header_gives_its_token_when_it_is_a_bearers(header: str | None, token: str | None) -> None:
    assert bearer_token(header) == token


class SlowStore:
    """Takes a while for a batch, and remembers how large each was."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.fails = False
        self.chokes_on = frozenset[str]()

    async def ingest(self, outcomes: Sequence[Outcome]) -> Sequence[IngestResult]:
        self.sizes.append(len(outcomes))
        await asyncio.sleep(0.01)
        if self.fails:
            raise StoreUnavailableError("away")
        if bad := [item.id for item in outcomes if item.id in self.chokes_on]:
            raise ValueError(f"cannot count {bad}")
        return [IngestResult(id=item.id, status="stored") for item in outcomes]

    async def sums(self, experiments: Sequence[str]) -> dict[str, Any]:
        return dict.fromkeys(experiments)


def test_outcomes_are_stored_together_when_they_come_while_others_are_written() -> None:
    store = SlowStore()

    async def report() -> list[Sequence[IngestResult]]:
        gathered = GatheredOutcomes(store)
        return await asyncio.gather(*(gathered.ingest([Outcome(id=f"{n}", model="m", at=0.0)]) for n in range(50)))

    results = asyncio.run(report())
    assert [batch[0].id for batch in results] == [str(n) for n in range(50)]
    assert sum(store.sizes) == 50
    assert len(store.sizes) <= 3


def test_everybody_hears_of_it_when_a_batch_cannot_be_stored() -> None:
    store = SlowStore()
    store.fails = True

    async def report() -> list[Any]:
        gathered = GatheredOutcomes(store)
        asked = (gathered.ingest([Outcome(id=f"{n}", model="m", at=0.0)]) for n in range(5))
        return await asyncio.gather(*asked, return_exceptions=True)

    assert all(isinstance(result, StoreUnavailableError) for result in asyncio.run(report()))
    assert store.sizes == [5], "a store that is away is not asked again for each"


def test_only_those_hear_of_it_whose_outcomes_cannot_be_stored_when_many_report_at_once() -> None:
    store = SlowStore()
    store.chokes_on = frozenset({"17-1", "18-0"})

    async def report() -> list[Sequence[IngestResult] | BaseException]:
        gathered = GatheredOutcomes(store)
        asked = (
            gathered.ingest([Outcome(id=f"{client}-{k}", model="m", at=0.0) for k in range(2)]) for client in range(50)
        )
        return await asyncio.gather(*asked, return_exceptions=True)

    results = asyncio.run(report())
    assert [number for number, result in enumerate(results) if isinstance(result, ValueError)] == [17, 18]
    assert [[item.id for item in result] for result in results if not isinstance(result, BaseException)] == [
        [f"{client}-{k}" for k in range(2)] for client in range(50) if client not in (17, 18)
    ]
    assert len(store.sizes) <= 20, "halving finds two of fifty; asking each again would be 50"
