"""The platform's API: commands and queries about experiments, the outcomes that applications report, the page.

Callers show a token; three are derived, one per thing that may be done, and lie in a Secret that operators hand out
from. With OpenID Connect configured the tokens of that issuer are accepted as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components._accounts import Right, grant, service_account
from components._base import PlatformComponent
from components._database import DatabaseAccess, authority_mounts, authority_volumes, database_env
from components._disruption import disruption_budget, takes_turns
from components._labels import object_labels, selector_labels
from components._network import GatewayPeer, allow_https, allow_kubernetes_api, network_policy, offer_service
from components._secrets import SecretSource
from components._workload import (
    CONFIG_ANNOTATION,
    TMP_DIR,
    UNLISTED_SECONDS,
    Resources,
    container,
    env,
    env_from_field,
    http_probe,
    pod_template,
    scratch_volume,
    secret_volume,
    serving_priority,
)
from ml.contracts import API_PORT, LABEL_DOMAIN, access_label

_NAME = "api"
_TOKENS_DIR = "/etc/mlplatform/tokens"
_SCOPES = ("read", "write", "decide")


@dataclass(frozen=True, kw_only=True)
class OidcIssuer:
    """Whose tokens are accepted besides the derived ones."""

    issuer: str
    audience: str
    keys_url: str
    scope_claim: str


@dataclass(frozen=True, kw_only=True)
class RequestRates:
    """How much one caller may ask for in a second."""

    reads: int
    writes: int
    outcomes: int


@dataclass(frozen=True, kw_only=True)
class ApiArgs:
    """What the API needs to know."""

    namespace: pulumi.Input[str]
    image: str
    secrets: SecretSource
    database: DatabaseAccess
    test_kind: pulumi.Input[str]
    """Name of the definition of experiments; taken so that the API starts after it."""
    public_host: str
    gateway: GatewayPeer
    """Who may reach it from outside the namespace."""
    replicas: int | None
    """None where an autoscaler decides."""
    metrics_url: str
    metrics_label: str
    """Name of the Prometheus service, whose access label the pods carry."""
    rates: RequestRates
    oidc: OidcIssuer | None
    resources: Resources


class Api(PlatformComponent):
    """The API's Deployment, its tokens and what it may do."""

    service: pulumi.Output[str]
    deployment: pulumi.Output[str]
    token_secret: pulumi.Output[str]
    """Name of the Secret with keys read, write and decide."""

    def __init__(self, name: str, args: ApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        self._name, self._args = name, args
        self._labels = object_labels(_NAME, name, args.image)
        self._selector = selector_labels(_NAME, name)
        self.service = self._create_service()
        self.token_secret = self._create_tokens()
        self.deployment = self._create_deployment(self._create_account())
        if takes_turns(args.replicas):
            disruption_budget(self, name, args.namespace, self._labels, self._selector)
        self._create_policies()
        self.finish(service=self.service, deployment=self.deployment, tokenSecret=self.token_secret)

    def _create_service(self) -> pulumi.Output[str]:
        service = k8s.core.v1.Service(
            self._name,
            metadata=self._metadata(self._name),
            spec=k8s.core.v1.ServiceSpecArgs(
                selector=self._selector,
                ports=[k8s.core.v1.ServicePortArgs(name="http-api", port=API_PORT, target_port="http-api")],
            ),
            opts=self.child(),
        )
        return service.metadata.name

    def _create_tokens(self) -> pulumi.Output[str]:
        tokens = k8s.core.v1.Secret(
            f"{self._name}-tokens",
            metadata=self._metadata(f"{self._name}-tokens"),
            string_data={scope: self._args.secrets.password(f"{self._name}/{scope}") for scope in _SCOPES},
            opts=self.child(),
        )
        return tokens.metadata.name

    def _create_account(self) -> pulumi.Output[str]:
        """An account that may make and change experiments and read routes, and nothing else."""
        namespace = self._args.namespace
        account = service_account(self, self._name, namespace, self._labels)
        grant(
            self,
            self._name,
            account=account,
            account_namespace=namespace,
            namespace=namespace,
            labels=self._labels,
            rights=[
                Right(group=LABEL_DOMAIN, resource="abtests", verbs=("get", "list", "create", "patch")),
                # Which models and slots there are, for admission.
                Right(group="networking.istio.io", resource="virtualservices", verbs=("get", "list")),
            ],
        )
        return account

    def _create_deployment(self, account: pulumi.Output[str]) -> pulumi.Output[str]:
        args = self._args
        server = container(
            "server",
            args.image,
            args.resources,
            command=["python3", "-m", "ml.api"],
            env=self._environment(),
            ports={"http-api": API_PORT},
            mounts={TMP_DIR: "tmp"},
            read_only_mounts={_TOKENS_DIR: "tokens", **authority_mounts(args.database.authority)},
            startup=http_probe("/healthz", "http-api", period_seconds=2, failures=60),
            readiness=http_probe("/readyz", "http-api", period_seconds=5),
            liveness=http_probe("/healthz", "http-api", period_seconds=10, failures=6),
            drain_seconds=UNLISTED_SECONDS if takes_turns(args.replicas) else 0,
        )
        template = pod_template(
            [server],
            priority=serving_priority(args.namespace),
            labels={**self._labels, **access_label(args.database.label), **access_label(args.metrics_label)},
            annotations={CONFIG_ANNOTATION: args.database.fingerprint},
            service_account=account,
            volumes=[
                scratch_volume("tmp", 64),
                secret_volume("tokens", self.token_secret),
                *authority_volumes(args.database.authority),
            ],
            spread=self._selector if takes_turns(args.replicas) else None,
        )
        metadata = self._metadata(self._name)
        metadata.annotations = {f"{LABEL_DOMAIN}/test-kind": args.test_kind}
        deployment = k8s.apps.v1.Deployment(
            self._name,
            metadata=metadata,
            spec=k8s.apps.v1.DeploymentSpecArgs(
                replicas=args.replicas,
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=self._selector),
                template=template,
            ),
            opts=self.child(),
        )
        return deployment.metadata.name

    def _environment(self) -> list[k8s.core.v1.EnvVarArgs]:
        args = self._args
        oidc = args.oidc
        issuer = {
            "OIDC_ISSUER": oidc.issuer,
            "OIDC_AUDIENCE": oidc.audience,
            "OIDC_JWKS_URL": oidc.keys_url,
            "OIDC_SCOPE_CLAIM": oidc.scope_claim,
        } if oidc else {}  # fmt: skip
        plain = {
            "API_PORT": str(API_PORT),
            "PUBLIC_HOST": args.public_host,
            "TOKENS_DIR": _TOKENS_DIR,
            "PROMETHEUS_URL": args.metrics_url,
            "RATE_READS_PER_SECOND": str(args.rates.reads),
            "RATE_WRITES_PER_SECOND": str(args.rates.writes),
            "RATE_OUTCOMES_PER_SECOND": str(args.rates.outcomes),
            "HOME": TMP_DIR,
            **issuer,
        }
        return [
            env_from_field("NAMESPACE", "metadata.namespace"),
            *database_env(args.database),
            *(env(key, value) for key, value in plain.items()),
        ]

    def _create_policies(self) -> None:
        args = self._args
        offer_service(
            self,
            self._name,
            namespace=args.namespace,
            labels=self._labels,
            selector=self._selector,
            ports=[API_PORT],
            gateways=[args.gateway],
            gateway_ports=[API_PORT],
        )
        policies = {"kubernetes": allow_kubernetes_api(self._selector)}
        if args.oidc:
            policies["issuer"] = allow_https(self._selector)
        for role, spec in policies.items():
            network_policy(self, f"{self._name}-{role}", spec, namespace=self._args.namespace, labels=self._labels)

    def _metadata(self, name: str | None = None) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(name=name, namespace=self._args.namespace, labels=dict(self._labels))
