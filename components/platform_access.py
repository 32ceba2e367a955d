"""Which hosts the platform answers to, which of them are web pages, and what stands in front of those.

Everything that reaches a page from outside reaches it one way: with a login, through the page's own; with open pages,
straight from the gateway; otherwise not at all, and then there is neither host nor route nor permission.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi

from components import _versions
from components._certificates import CertificateIssuer
from components._labels import selector_labels
from components._network import GatewayPeer, ServicePeer
from components._pipelines.site import UI_PORT, UI_SERVICE
from components._secrets import SecretSource
from components.gateway import HostRoute
from components.page_login import LoginIssuer, PageLogin, PageLoginArgs, login_peer
from components.platform_pipelines import PIPELINES
from components.platform_prerequisites import GRAFANA_PAGE, grafana_page
from components.platform_teams import unheard_headers
from components.settings import Settings
from components.settings_access import LoginSettings
from ml.contracts import (
    GATEWAY_PORT,
    GATEWAY_TLS_PORT,
    LOGIN_PORT,
    MLFLOW_PORT,
    OBJECT_STORE_SERVICE,
    S3_CONSOLE_PORT,
    TRACKING_SERVER_SERVICE,
)

MLFLOW_PAGE: Final = "mlflow"
CONSOLE_PAGE: Final = "minio"
PIPELINES_PAGE: Final = "kubeflow"
_CLIENT_SECRET: Final = "login/client-secret"  # noqa: S105 a purpose


def pages(settings: Settings) -> dict[str, ServicePeer]:
    """Return the Service of every web page that somebody may reach from outside, by the first word of its host."""
    if not settings.access.pages:
        return {}
    home = settings.namespace
    found = {MLFLOW_PAGE: _peer(TRACKING_SERVER_SERVICE, TRACKING_SERVER_SERVICE, home, MLFLOW_PORT)}
    if settings.object_store.kind == "minio":
        found[CONSOLE_PAGE] = _peer(OBJECT_STORE_SERVICE, OBJECT_STORE_SERVICE, home, S3_CONSOLE_PORT)
    if settings.pipeline_service.enabled:
        found[PIPELINES_PAGE] = _peer(UI_SERVICE, PIPELINES, settings.pipeline_service.namespace, UI_PORT)
    if (grafana := grafana_page(settings)) is not None:
        found[GRAFANA_PAGE] = grafana
    return found


def hosts(settings: Settings) -> dict[str, str]:
    """Return the host of every role that the platform answers to."""
    order = (MLFLOW_PAGE, CONSOLE_PAGE, "ml", "api", PIPELINES_PAGE, GRAFANA_PAGE)
    reached = {"ml", "api", *pages(settings)}
    return {role: f"{role}.{settings.domain}" for role in order if role in reached}


def front_of(settings: Settings, role: str, gateway: GatewayPeer) -> GatewayPeer | None:
    """Return the only pods that may open a page for somebody outside; None if nobody may."""
    if role not in pages(settings):
        return None
    return gateway if settings.access.login is None else login_peer(_login_name(role), settings.namespace)


def gateway_port(settings: Settings) -> int:
    """Return the port at which the gateway routes requests."""
    return GATEWAY_TLS_PORT if settings.access.ends_tls else GATEWAY_PORT


def certificate_issuer(settings: Settings) -> CertificateIssuer | None:
    """Return who signs the gateway's certificate; None where it has none."""
    issuer = settings.access.certificate_issuer
    return issuer and CertificateIssuer(name=issuer.name, kind=issuer.kind)


@dataclass(frozen=True, kw_only=True)
class Inside:
    """What of the platform logins use."""

    namespace: pulumi.Output[str]
    secrets: SecretSource
    gateway: GatewayPeer


def create_logins(settings: Settings, inside: Inside, opts: pulumi.ResourceOptions) -> dict[str, PageLogin]:
    """Declare the login of every page, by the first word of its host; nothing where there is none."""
    login = settings.access.login
    if login is None:
        return {}
    issuer, names = _issuer(settings, login, inside.secrets), hosts(settings)
    return {
        role: PageLogin(
            _login_name(role),
            PageLoginArgs(
                namespace=inside.namespace,
                image=settings.image(_versions.PAGE_LOGIN),
                secrets=inside.secrets,
                issuer=issuer,
                host=names[role],
                page=page,
                gateway=inside.gateway,
                replicas=login.replicas,
            ),
            opts,
        )
        for role, page in pages(settings).items()
    }


def page_routes(
    settings: Settings, logins: Mapping[str, PageLogin], services: Mapping[str, pulumi.Input[str] | None]
) -> list[HostRoute]:
    """Return the gateway's route to every page: to its login, or to its Service where pages are open.

    Args:
        settings: the stack's.
        logins: by role.
        services: name of the Service of every page of the platform's own, by role.
    """
    names, routes = hosts(settings), list[HostRoute]()
    for role, page in pages(settings).items():
        if role in logins:
            service, port = logins[role].service, LOGIN_PORT
        else:
            own = services.get(role)
            service, port = _known_everywhere(settings, page, page.service if own is None else own), page.port
        dropped = unheard_headers(settings) if role == MLFLOW_PAGE else ()
        routes.append(HostRoute(role=role, host=names[role], service=service, port=port, dropped_headers=dropped))
    return routes


def _known_everywhere(settings: Settings, page: ServicePeer, service: pulumi.Input[str]) -> pulumi.Input[str]:
    """Return the name by which routes of the platform's namespace find a Service."""
    if page.namespace == settings.namespace:
        return service
    return pulumi.Output.concat(service, f".{page.namespace}.svc.cluster.local")


def _issuer(settings: Settings, login: LoginSettings, secrets: SecretSource) -> LoginIssuer:
    given = settings.login_secret
    own = given is None
    client_secret = secrets.password(_CLIENT_SECRET) if own else pulumi.Output.secret(given.reveal())
    return LoginIssuer(
        issuer=login.issuer,
        client_id=login.client_id,
        client_secret=client_secret,
        fingerprint=secrets.fingerprint(_CLIENT_SECRET) if own else secrets.fingerprint_of(client_secret),
        audience=login.audience,
        groups=login.groups,
        session_hours=login.session_hours,
    )


def _login_name(role: str) -> str:
    return f"login-{role}"


def _peer(service: str, instance: str, namespace: str, port: int) -> ServicePeer:
    return ServicePeer(service=service, namespace=namespace, selector=selector_labels(service, instance), port=port)
