from __future__ import annotations

import pytest

from ml.controller.config import Config, ConfigError, load_config


def test_defaults_apply_when_only_the_namespace_is_set() -> None:
    assert load_config({"NAMESPACE": "research"}) == Config(
        namespace="research", split_timeout_seconds=30, health_port=8080
    )


def test_all_problems_are_named_at_once_when_several_variables_are_wrong() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"SPLIT_TIMEOUT_SECONDS": "0", "HEALTH_PORT": "http"})
    message = str(caught.value)
    assert "NAMESPACE is not set" in message
    assert "SPLIT_TIMEOUT_SECONDS='0': allowed is a whole number from 1 to 600" in message
    assert "HEALTH_PORT='http': allowed is a whole number from 1 to 65535" in message


@pytest.mark.parametrize("written", ["-1", "1.5", "", "٣", "601"])
def test_number_is_refused_when_it_is_no_whole_number_in_range(written: str) -> None:
    with pytest.raises(ConfigError, match="SPLIT_TIMEOUT_SECONDS"):
        load_config({"NAMESPACE": "research", "SPLIT_TIMEOUT_SECONDS": written})
