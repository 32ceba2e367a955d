"""Puts the parts together: load the models, open the ports, and on the way out drain before closing."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any, Final

from local.modelserver import grpc_server, http_server
from local.modelserver.flags import Flags
from local.modelserver.model import LoadSettings, Model
from local.modelserver.models import Models
from local.modelserver.monitoring import Metrics
from local.modelserver.rest import RestApi
from local.modelserver.servable import SessionSettings
from local.modelserver.service import Service
from local.modelserver.status import Code, StatusError
from local.modelserver.text_proto import ModelConfig, VersionPolicy, read_metrics_path, read_model_configs

_LOG = logging.getLogger(__name__)
_GRPC_DRAIN_SECONDS: Final = 10
_HTTP_START_CHECK_SECONDS: Final = 0.02
_MICROSECONDS: Final = 1_000_000


class Server:
    """A model server with the real one's order of events: the ports open after the first versions are available."""

    def __init__(self, flags: Flags) -> None:
        """Read the configuration.

        Raises:
            StatusError: a configuration file is wrong.
        """
        self._flags = flags
        self._metrics = Metrics()
        self._metrics_path = _metrics_path(flags)
        settings = _load_settings(flags)
        self._models = Models(
            [Model(config, settings, self._metrics) for config in _model_configs(flags)],
            poll_interval_seconds=flags.file_system_poll_wait_seconds,
            load_threads=flags.num_load_threads,
        )
        self._service = Service(self._models, self._metrics)

    def run(self, stopping: threading.Event) -> None:
        """Serve until `stopping` is set, then answer what is open and end.

        Raises:
            StatusError: a model has no version that loads.
            RuntimeError: a port cannot be opened.
        """
        self._models.start()
        try:
            self._models.wait_until_available(stopping.is_set)
            if not stopping.is_set():
                self._serve(stopping)
        finally:
            self._models.stop()

    def _serve(self, stopping: threading.Event) -> None:
        grpc = self._start_grpc()
        try:
            http = self._start_http()
            stopping.wait()
            if http is not None:
                http.stop()
        finally:
            if grpc is not None:
                grpc.stop(_GRPC_DRAIN_SECONDS).wait()

    def _start_grpc(self) -> Any:
        flags = self._flags
        if not flags.port:
            return None
        server = grpc_server.make_server(
            self._service,
            self._metrics,
            port=flags.port,
            threads=flags.grpc_max_threads,
            enable_health=flags.enable_grpc_healthcheck_service,
        )
        _LOG.info("Running gRPC ModelServer at 0.0.0.0:%d ...", flags.port)
        return server

    def _start_http(self) -> HttpThread | None:
        flags = self._flags
        if not flags.rest_api_port:
            return None
        application = http_server.HttpApplication(
            RestApi(self._service, self._metrics),
            self._metrics,
            threads=flags.rest_api_num_threads,
            timeout_ms=flags.rest_api_timeout_in_ms,
            metrics_path=self._metrics_path,
            enable_cors=flags.rest_api_enable_cors_support,
        )
        thread = HttpThread(application, flags.rest_api_port)
        _LOG.info("Exporting HTTP/REST API at:localhost:%d ...", flags.rest_api_port)
        return thread


class HttpThread:
    """The HTTP server's event loop on a thread of its own."""

    def __init__(self, application: http_server.HttpApplication, port: int) -> None:
        """Start and wait until the port is open.

        Raises:
            RuntimeError: the port cannot be opened.
        """
        self._server = http_server.make_server(application, port)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()
        while not self._server.started:
            self._thread.join(_HTTP_START_CHECK_SECONDS)
            if not self._thread.is_alive():
                raise RuntimeError(f"Failed to start HTTP Server at localhost:{port}")

    def stop(self) -> None:
        """Answer the open requests, then end."""
        self._server.should_exit = True
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve())
        except SystemExit:  # how uvicorn says that the port is taken
            _LOG.error("the HTTP server could not start")


def _metrics_path(flags: Flags) -> str | None:
    return read_metrics_path(Path(flags.monitoring_config_file)) if flags.monitoring_config_file else None


def _model_configs(flags: Flags) -> tuple[ModelConfig, ...]:
    if flags.model_config_file:
        configs = read_model_configs(Path(flags.model_config_file))
        if not flags.allow_version_labels_for_unavailable_models:
            _refuse_labels(configs)
        return configs
    return (ModelConfig(flags.model_name, Path(flags.model_base_path), VersionPolicy(), {}),)


def _refuse_labels(configs: tuple[ModelConfig, ...]) -> None:
    """Refuse labels as the real server does: when the file is read at the start, no version is available yet."""
    for config in configs:
        for version in config.labels.values():
            raise StatusError(
                Code.FAILED_PRECONDITION,
                f"Request to assign label to version {version} of model {config.name}, which is not currently "
                "available for inference",
            )


def _load_settings(flags: Flags) -> LoadSettings:
    intra_op_threads, inter_op_threads = flags.session_threads
    return LoadSettings(
        session=SessionSettings(
            intra_op_threads=intra_op_threads,
            inter_op_threads=inter_op_threads,
            run_timeout_ms=flags.rest_api_timeout_in_ms,
            tags=tuple(flags.saved_model_tags.split(",")),
        ),
        maximum_retries=flags.max_num_load_retries,
        retry_interval_seconds=max(0, flags.load_retry_interval_micros) / _MICROSECONDS,
        enable_warm_up=flags.enable_model_warmup,
        warm_up_iterations=flags.num_request_iterations_for_warmup,
    )
