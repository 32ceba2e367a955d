from __future__ import annotations

import pytest

from ml.controller.config import Config, ConfigError, GatewayConfig, load_config
from ml.events.pool import DatabaseSettings

REQUIRED = {
    "NAMESPACE": "research",
    "DATABASE_HOST": "metadata-db",
    "DATABASE_NAME": "events",
    "DATABASE_USER": "events",
    "DATABASE_PASSWORD": "not-told",
}


def test_defaults_apply_when_only_what_has_none_is_set() -> None:
    assert load_config(REQUIRED) == Config(
        namespace="research",
        identity="experiment-controller",
        split_timeout_seconds=30,
        health_port=8080,
        metrics_port=8081,
        registry_url="http://tracking-server:5000",
        prometheus_url="http://prometheus:9090",
        database=DatabaseSettings(host="metadata-db", database="events", user="events", password="not-told"),
        gateway=GatewayConfig(
            namespace="istio-system", selector="istio=ingressgateway", read_back="config-dump", settle_seconds=5
        ),
    )


def test_password_is_not_shown_when_the_settings_are_printed() -> None:
    assert "not-told" not in repr(load_config(REQUIRED))


def test_all_problems_are_named_at_once_when_several_variables_are_wrong() -> None:
    wrong = {
        "SPLIT_TIMEOUT_SECONDS": "0",
        "HEALTH_PORT": "http",
        "REGISTRY_URL": "tracking-server:5000",
        "GATEWAY_SELECTOR": "ingress",
        "GATEWAY_READ_BACK": "guess",
    }
    with pytest.raises(ConfigError) as caught:
        load_config(wrong)
    message = str(caught.value)
    assert all(f"{name} is not set" in message for name in REQUIRED)
    assert "SPLIT_TIMEOUT_SECONDS='0': allowed is a whole number from 1 to 600" in message
    assert "HEALTH_PORT='http': allowed is a whole number from 1 to 65535" in message
    assert "REGISTRY_URL='tracking-server:5000': allowed is an address such as http://HOST:PORT" in message
    assert "GATEWAY_SELECTOR='ingress': allowed is labels such as key=value,key=value" in message
    assert "GATEWAY_READ_BACK='guess': allowed is config-dump or written" in message


@pytest.mark.parametrize("written", ["-1", "1.5", "", "٣", "601"])
def test_number_is_refused_when_it_is_no_whole_number_in_range(written: str) -> None:
    with pytest.raises(ConfigError, match="SPLIT_TIMEOUT_SECONDS"):
        load_config({**REQUIRED, "SPLIT_TIMEOUT_SECONDS": written})
