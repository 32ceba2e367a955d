"""Stands in front of a web page that has no login of its own: OAuth2 Proxy, which passes on only whom the issuer knows.

People are sent to the issuer and come back with a session; programs bring a token of the issuer. There is one instance
per page, because one has one upstream for all hosts. Nothing of the mesh takes part in the decision (docs/adr/0007).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_kubernetes as k8s

from components._base import PlatformComponent
from components._disruption import disruption_budget
from components._labels import object_labels, selector_labels
from components._network import GatewayPeer, ServicePeer, allow_https, allow_to_pods, network_policy, offer_service
from components._secrets import SecretSource
from components._workload import CONFIG_ANNOTATION, Resources, container, http_probe, pod_template, secret_volume
from ml.contracts import LOGIN_METRICS_PORT, LOGIN_PORT, PAGE_LOGIN

_SECRET_DIR: Final = "/run/secrets/login"  # noqa: S105 a path
_RESOURCES: Final = Resources(cpu_millis=20, memory_mib=32, memory_limit_mib=128)
_CALLBACK: Final = "/oauth2/callback"
_UPSTREAM_SECONDS: Final = 600
_PROGRAMS: Final = "^/(api|ajax-api|apis)/"
"""Paths of MLflow and Kubeflow Pipelines that programs ask: they get an error and not the issuer's page."""
_GRACE_SECONDS: Final = 30


@dataclass(frozen=True, kw_only=True)
class LoginIssuer:
    """Who says who somebody is."""

    issuer: str
    client_id: str
    client_secret: pulumi.Output[str]
    fingerprint: pulumi.Input[str]
    """Changes when the client's secret does."""
    audience: str | None
    """Of programs' tokens; None takes the client's id."""
    groups: tuple[str, ...]
    session_hours: int


@dataclass(frozen=True, kw_only=True)
class PageLoginArgs:
    """What the login of one page needs to know."""

    namespace: pulumi.Input[str]
    image: str
    secrets: SecretSource
    issuer: LoginIssuer
    host: str
    """Of the page, as the browser knows it."""
    page: ServicePeer
    gateway: GatewayPeer
    replicas: int


class PageLogin(PlatformComponent):
    """The login of one page."""

    service: pulumi.Output[str]

    def __init__(self, name: str, args: PageLoginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self._labels = object_labels(PAGE_LOGIN, name, args.image)
        self._selector = selector_labels(PAGE_LOGIN, name)
        secret = self._create_secret()
        self._create_deployment(secret)
        self._create_policies()
        if args.replicas > 1:
            disruption_budget(self, name, args.namespace, self._labels, self._selector)
        self.service = self._create_service()
        self.finish(service=self.service)

    def _create_secret(self) -> pulumi.Output[str]:
        args = self._args
        secret = k8s.core.v1.Secret(
            self._name,
            metadata=self._metadata(self._name),
            string_data={
                "client-secret": args.issuer.client_secret,
                "cookie-secret": args.secrets.fernet_key(self._cookie_purpose),
            },
            opts=self.child(),
        )
        return secret.metadata.name

    @property
    def _cookie_purpose(self) -> str:
        return f"{self._name}/cookie"

    def _create_deployment(self, secret: pulumi.Output[str]) -> None:
        args = self._args
        cookie = args.secrets.fingerprint(self._cookie_purpose)
        template = pod_template(
            [self._container()],
            labels=self._labels,
            annotations={CONFIG_ANNOTATION: pulumi.Output.concat(args.issuer.fingerprint, "-", cookie)},
            volumes=[secret_volume("login", secret)],
            grace_seconds=_GRACE_SECONDS,
            spread=self._selector if args.replicas > 1 else None,
        )
        k8s.apps.v1.Deployment(
            self._name,
            metadata=self._metadata(self._name),
            spec=k8s.apps.v1.DeploymentSpecArgs(
                replicas=args.replicas,
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=self._selector),
                template=template,
            ),
            opts=self.child(),
        )

    def _container(self) -> k8s.core.v1.ContainerArgs:
        return container(
            "login",
            self._args.image,
            _RESOURCES,
            command=["/bin/oauth2-proxy"],
            args=login_arguments(self._args),
            ports={"http-login": LOGIN_PORT, "http-metrics": LOGIN_METRICS_PORT},
            read_only_mounts={_SECRET_DIR: "login"},
            # It starts by asking the issuer, and ends if that does not answer.
            startup=http_probe("/ping", "http-login", period_seconds=2, failures=60),
            readiness=http_probe("/ready", "http-login", period_seconds=5),
            liveness=http_probe("/ping", "http-login", period_seconds=10, failures=6),
        )

    def _create_policies(self) -> None:
        args = self._args
        offer_service(
            self,
            self._name,
            namespace=args.namespace,
            labels=self._labels,
            selector=self._selector,
            ports=[LOGIN_PORT],
            gateways=[args.gateway],
            gateway_ports=[LOGIN_PORT],
        )
        page = args.page
        policies = {
            "issuer": allow_https(self._selector),
            "page": allow_to_pods(self._selector, page.selector, [page.port], namespace=page.namespace),
        }
        for role, spec in policies.items():
            network_policy(self, f"{self._name}-{role}", spec, namespace=args.namespace, labels=self._labels)

    def _create_service(self) -> pulumi.Output[str]:
        service = k8s.core.v1.Service(
            self._name,
            metadata=self._metadata(self._name),
            spec=k8s.core.v1.ServiceSpecArgs(
                selector=self._selector,
                ports=[k8s.core.v1.ServicePortArgs(name="http-login", port=LOGIN_PORT, target_port="http-login")],
            ),
            opts=self.child(),
        )
        return service.metadata.name

    def _metadata(self, name: str) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=name, namespace=self._args.namespace, labels=dict(self._labels))


def login_peer(name: str, namespace: str) -> GatewayPeer:
    """Return the pods of the login `name`, as the page that it stands in front of sees them."""
    return GatewayPeer(namespace=namespace, selector=selector_labels(PAGE_LOGIN, name))


def login_arguments(args: PageLoginArgs) -> list[str]:
    """Return what OAuth2 Proxy is started with."""
    issuer, page = args.issuer, args.page
    audience = [] if issuer.audience is None else [f"--oidc-extra-audience={issuer.audience}"]
    return [
        f"--http-address=0.0.0.0:{LOGIN_PORT}",
        f"--metrics-address=0.0.0.0:{LOGIN_METRICS_PORT}",
        "--provider=oidc",
        f"--oidc-issuer-url={issuer.issuer}",
        f"--client-id={issuer.client_id}",
        f"--client-secret-file={_SECRET_DIR}/client-secret",
        # The issuer hands out nothing to somebody who only read the way back.
        "--code-challenge-method=S256",
        # Said in full: how a request came to the gateway is not known behind it.
        f"--redirect-url=https://{args.host}{_CALLBACK}",
        "--skip-provider-button",
        # Who may come in at all is the issuer's decision, or that of its groups.
        "--email-domain=*",
        *(f"--allowed-group={group}" for group in issuer.groups),
        f"--upstream=http://{page.service}.{page.namespace}.svc.cluster.local:{page.port}/",
        f"--upstream-timeout={_UPSTREAM_SECONDS}s",
        f"--cookie-secret-file={_SECRET_DIR}/cookie-secret",
        # By this prefix browsers keep the cookie to this host, to TLS, and away from what other hosts set.
        "--cookie-name=__Host-login",
        "--cookie-secure",
        "--cookie-samesite=lax",
        f"--cookie-expire={issuer.session_hours}h",
        "--skip-jwt-bearer-tokens",
        *audience,
        "--bearer-token-login-fallback=false",
        f"--api-route={_PROGRAMS}",
        "--silence-ping-logging",
    ]
