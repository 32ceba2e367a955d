"""The metadata store, in which runs record what came from what, and the proxy by which the page reads it.

Leaves out the metadata writer: it records for pipelines of the first version, which are refused here.
"""

from __future__ import annotations

from typing import Any, Final

import pulumi
import yaml

from components._pipelines.database import Account
from components._pipelines.site import (
    DATABASE,
    DATABASE_PORT,
    METADATA_PORT,
    METADATA_PROXY_PORT,
    METADATA_PROXY_SERVICE,
    METADATA_PROXY_STATS_PORT,
    METADATA_SERVICE,
    Site,
    config_volume,
    fingerprint,
)
from components._workload import (
    CONFIG_ANNOTATION,
    TMP_DIR,
    Resources,
    container,
    http_probe,
    scratch_volume,
    secret_volume,
    tcp_probe,
)

_CONFIG_DIR: Final = "/run/secrets/metadata"
_CONFIG_KEY: Final = "server-with-password.textproto"
_PROXY_CONFIG_DIR: Final = "/etc/metadata-proxy"
_STORE_RESOURCES: Final = Resources(cpu_millis=100, memory_mib=128, memory_limit_mib=1024)
_PROXY_RESOURCES: Final = Resources(cpu_millis=20, memory_mib=64, memory_limit_mib=256)
_LARGEST_METADATA: Final = 16 * 1024
_HTTP: Final = "type.googleapis.com/envoy.extensions.filters.http"
_MANAGER: Final = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
_HTTP_OPTIONS: Final = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_ADMIN_PORT: Final = 9901


def declare_metadata(site: Site, image: str, account: Account) -> pulumi.Output[str]:
    """Declare the store; return the name of its Service."""
    part = site.part(METADATA_SERVICE, image)
    service = site.service(part, METADATA_SERVICE, {"grpc-metadata": METADATA_PORT})
    content = pulumi.Output.all(account.password, account.service).apply(
        lambda known: store_configuration(account, password=str(known[0]), host=str(known[1]))
    )
    secret = site.secret(part, METADATA_SERVICE, {_CONFIG_KEY: content})
    store = container(
        "store",
        image,
        _STORE_RESOURCES,
        command=["/bin/metadata_store_server"],
        args=[
            f"--grpc_port={METADATA_PORT}",
            # A file, because arguments can be read by every process. If it could not be read, the store would keep
            # everything in memory and say so in one line of its log.
            f"--metadata_store_server_config_file={_CONFIG_DIR}/{_CONFIG_KEY}",
            f"--grpc_channel_arguments=grpc.max_metadata_size={_LARGEST_METADATA}",
        ],
        ports={"grpc-metadata": METADATA_PORT},
        mounts={TMP_DIR: "tmp"},
        read_only_mounts={_CONFIG_DIR: "config"},
        startup=tcp_probe("grpc-metadata", period_seconds=2, failures=120),
        readiness=tcp_probe("grpc-metadata", period_seconds=5),
        liveness=tcp_probe("grpc-metadata", period_seconds=10, failures=6),
    )
    site.deployment(
        part,
        [store],
        uses=[DATABASE],
        annotations={CONFIG_ANNOTATION: account.fingerprint},
        volumes=[secret_volume("config", secret), scratch_volume("tmp", 64)],
    )
    site.offer(part, [METADATA_PORT])
    # Steps look for it under this name.
    site.known_config(
        part,
        "metadata-grpc-configmap",
        {"METADATA_GRPC_SERVICE_HOST": service, "METADATA_GRPC_SERVICE_PORT": str(METADATA_PORT)},
    )
    return service


def store_configuration(account: Account, *, password: str, host: str) -> str:
    """Return the store's configuration, a MetadataStoreServerConfig in protobuf's text form."""
    fields = f'host: "{host}" port: {DATABASE_PORT} database: "{account.database}" user: "{account.user}"'
    return (
        f'connection_config {{ mysql {{ {fields} password: "{password}" }} }}\n'
        "migration_options { enable_upgrade_migration: true }\n"
    )


def declare_proxy(site: Site, image: str) -> pulumi.Output[str]:
    """Declare the proxy, which a browser can talk to and which talks to the store; return the name of its Service."""
    part = site.part(METADATA_PROXY_SERVICE, image)
    service = site.service(part, METADATA_PROXY_SERVICE, {"http-metadata": METADATA_PROXY_PORT})
    files = {"envoy.yaml": yaml.safe_dump(proxy_configuration(), sort_keys=False)}
    proxy = container(
        "proxy",
        image,
        _PROXY_RESOURCES,
        command=["/usr/local/bin/envoy"],
        args=["-c", f"{_PROXY_CONFIG_DIR}/envoy.yaml"],
        ports={"http-metadata": METADATA_PROXY_PORT, "http-stats": METADATA_PROXY_STATS_PORT},
        mounts={TMP_DIR: "tmp"},
        read_only_mounts={_PROXY_CONFIG_DIR: "config"},
        readiness=http_probe("/ready", "http-stats", period_seconds=5),
        liveness=http_probe("/ready", "http-stats", period_seconds=10, failures=6),
    )
    site.deployment(
        part,
        [proxy],
        uses=[METADATA_SERVICE],
        annotations={CONFIG_ANNOTATION: fingerprint(files)},
        volumes=[
            config_volume("config", site.config(part, f"{METADATA_PROXY_SERVICE}-config", files)),
            scratch_volume("tmp", 64),
        ],
    )
    site.offer(part, [METADATA_PROXY_PORT])
    return service


def proxy_configuration() -> dict[str, Any]:
    """Return Envoy's configuration: gRPC from browsers in, gRPC out; of its administration only health and metrics."""
    metadata = {
        "match": {"prefix": "/ml_metadata."},
        "route": {"cluster": "metadata", "max_stream_duration": {"grpc_timeout_header_max": "0s"}},
    }
    stats = [{"match": {"path": path}, "route": {"cluster": "admin"}} for path in ("/ready", "/stats/prometheus")]
    return {
        # Whoever reaches it can stop the proxy, so nobody does from outside.
        "admin": {"address": _socket("127.0.0.1", _ADMIN_PORT)},
        "static_resources": {
            "listeners": [
                _listener("metadata", METADATA_PROXY_PORT, [metadata], filters=["grpc_web.v3.GrpcWeb"]),
                _listener("stats", METADATA_PROXY_STATS_PORT, stats),
            ],
            "clusters": [
                _cluster("metadata", METADATA_SERVICE, METADATA_PORT, "LOGICAL_DNS", {"http2_protocol_options": {}}),
                _cluster("admin", "127.0.0.1", _ADMIN_PORT, "STATIC", {"http_protocol_options": {}}),
            ],
        },
    }


def _listener(name: str, port: int, routes: list[dict[str, Any]], *, filters: list[str] | None = None) -> Any:
    kinds = [*(filters or []), "router.v3.Router"]
    manager = {
        "@type": _MANAGER,
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {
                "name": f"envoy.filters.http.{kind.partition('.')[0]}",
                "typed_config": {"@type": f"{_HTTP}.{kind}"},
            }
            for kind in kinds
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": name, "address": _socket("0.0.0.0", port), "filter_chains": [chain]}  # noqa: S104 the pod's own


def _cluster(name: str, host: str, port: int, kind: str, protocol: dict[str, Any]) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _socket(host, port)}}
    return {
        "name": name,
        "type": kind,
        "connect_timeout": "10s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _HTTP_OPTIONS,
                "explicit_http_config": protocol,
            }
        },
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _socket(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}
