"""Connects the keeper to the watch of VirtualServices.

Only `on.event` is used: every other kind of handler makes kopf write finalizers or annotations, and the root
objects belong to Pulumi. Such handlers get no second try from kopf, so the keeper has its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import kopf

from ml.controller.keeper import Backoffs, SplitKeeper
from ml.controller.splits import API_GROUP, API_VERSION, PLURAL, model_of
from ml.controller.virtual_services import ApiError, VirtualServices

_STARTUP_RETRY_SECONDS: Final = 2.0


def build_registry(api: VirtualServices, keeper: SplitKeeper) -> kopf.OperatorRegistry:
    """Return the handlers of the controller."""
    registry = kopf.OperatorRegistry()

    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True  # a namespaced role may not list CRDs or namespaces
        settings.networking.error_backoffs = Backoffs()
        settings.networking.connect_timeout = 10.0
        try:
            await api.check_kind()
        except ApiError as error:
            raise kopf.TemporaryError(str(error), delay=_STARTUP_RETRY_SECONDS) from error

    async def heed(body: Mapping[str, Any], **_: Any) -> None:
        model = model_of(body)
        if model is not None:
            await keeper.keep(model)

    kopf.on.startup(registry=registry)(configure)
    kopf.on.event(API_GROUP, API_VERSION, PLURAL, registry=registry)(heed)
    kopf.on.login(registry=registry)(login)
    return registry


def login(**arguments: Any) -> kopf.ConnectionInfo | None:
    """Find credentials for the watch: the pod's service account, else the kubeconfig."""
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)
