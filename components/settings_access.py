"""How people and programs come in from outside; `components.settings` reads this as its section `access`."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from ipaddress import ip_address

from components._rules import choice, flag, integer, listing, text, word
from components._schema import schema, section, setting

_object_name = text(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", "the name of an object of Kubernetes")
_https_address = text(r"https://[^\s]+", "an address that starts with https://", max_length=2048)
_PLAIN, _GATEWAY, _OUTSIDE = "none", "gateway", "outside"
_SECONDS_PER_DAY = 86_400


@schema
class CertificateIssuerSettings:
    """The issuer of cert-manager that signs the gateway's certificate; the stack does not make it."""

    name: str = setting(_object_name)
    kind: str = setting(choice(("ClusterIssuer", "Issuer")), default="ClusterIssuer")
    """An Issuer is looked for in the gateway's namespace."""


@schema
class LoginSettings:
    """The OpenID Connect issuer that says who opens a web page; it must answer at its discovery address."""

    issuer: str = setting(_https_address)
    client_id: str = setting(word)
    audience: str | None = setting(word, default=None)
    """Of the tokens by which programs come in; None takes `client_id`."""
    groups: tuple[str, ...] = setting(listing(word), default=())
    """Of which somebody must be in one; none lets in whoever the issuer knows."""
    session_hours: int = setting(integer(1, 168, "hours"), default=8)
    """How long somebody stays logged in, whatever the issuer decides meanwhile."""
    replicas: int = setting(integer(1, 10, "pods per page"), default=2)


@schema
class AccessSettings:
    """The way in for people. Models and the API are not part of it: the API wants tokens of its own."""

    tls: str = setting(choice((_PLAIN, _GATEWAY, _OUTSIDE)), default=_PLAIN)
    """Where TLS ends: nowhere, at the gateway, or in front of it, as at the load balancer of a stack on AWS."""
    certificate_issuer: CertificateIssuerSettings | None = setting(section(CertificateIssuerSettings), default=None)
    strict_transport_days: int = setting(integer(0, 730, "days"), default=30)
    """How long a browser that came once uses nothing but TLS; 0 tells it nothing."""
    login: LoginSettings | None = setting(section(LoginSettings), default=None)
    """None leaves the web pages unreachable from outside, unless `open_pages` is true."""
    open_pages: bool = setting(flag(), default=False)
    """Whether anybody who reaches the gateway may open every page and change what it shows."""

    def conflicts(self, faulty: AbstractSet[str]) -> Iterator[tuple[str, str]]:
        """Refuse settings that are each allowed but not together."""
        if faulty.isdisjoint({"tls", "certificate_issuer"}):
            if self.ends_tls and self.certificate_issuer is None:
                yield "certificate_issuer", "the name of an issuer, for `tls` is gateway"
            if not self.ends_tls and self.certificate_issuer is not None:
                yield "certificate_issuer", f"absent, unless `tls` is {_GATEWAY}"
        if faulty.isdisjoint({"tls", "login"}) and self.login is not None and self.tls == _PLAIN:
            yield (
                "tls",
                f"{_GATEWAY} or {_OUTSIDE} where there is a login: nobody may read what proves who somebody is",
            )
        if faulty.isdisjoint({"login", "open_pages"}) and self.login is not None and self.open_pages:
            yield "open_pages", "false where there is a login"

    @property
    def ends_tls(self) -> bool:
        """Whether the gateway itself ends TLS."""
        return self.tls == _GATEWAY

    @property
    def encrypted(self) -> bool:
        """Whether TLS ends anywhere, so that hosts are asked by their own names."""
        return self.tls != _PLAIN

    @property
    def strict_seconds(self) -> int:
        """How long browsers are told to use nothing but TLS: not at all where there is none."""
        return self.strict_transport_days * _SECONDS_PER_DAY if self.encrypted else 0

    @property
    def pages(self) -> bool:
        """Whether web pages are reached from outside at all."""
        return self.open_pages or self.login is not None


def conflicts_outside(
    access: AccessSettings, *, gateway_address: str | None, balancer: bool, highly_available: bool
) -> Iterator[tuple[str, str]]:
    """Find what contradicts the rest of a stack's settings.

    Args:
        access: sound by itself.
        gateway_address: where people reach the gateway, if that is set.
        balancer: whether the stack makes a load balancer that ends TLS.
        highly_available: whether it must survive the loss of a pod.
    """
    if access.open_pages and (balancer or not _is_loopback(gateway_address)):
        yield "access", "openPages false, unless `gatewayAddress` is the machine's own: no page has a login of its own"
    if balancer and access.ends_tls:
        yield "access", f"tls {_OUTSIDE}, for `aws.access` makes a load balancer that ends it"
    if highly_available and access.login is not None and access.login.replicas < 2:
        yield "access", "login.replicas 2 or more, unless `aws.highlyAvailable` is false"


def _is_loopback(address: str | None) -> bool:
    host = (address or "").partition(":")[0]
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"
