"""Packages of SDKs that load late offer what they offer otherwise."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

from policies.render import lazy_packages

PACKAGES = (
    "pulumi_aws.ec2",
    "pulumi_aws.s3",
    "pulumi_aws.iam",
    "pulumi_kubernetes.core.v1",
    "pulumi_kubernetes.apps.v1",
)


def run(body: str) -> subprocess.CompletedProcess[str]:
    """Run lines in an interpreter of their own, where no SDK has been loaded yet."""
    prologue = "import sys\nfrom policies.render import lazy_packages\nlazy_packages.install()\n"
    return subprocess.run(
        [sys.executable, "-c", prologue + textwrap.dedent(body)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", PACKAGES)
def test_each_name_is_found_where_the_package_has_it_from_when_nothing_is_loaded(name: str) -> None:
    package = import_module(name)
    assert not hasattr(package, "nothing")  # the SDK's own way of loading late ends with the first question
    homes = lazy_packages.homes(Path(inspect.getfile(package)).parent)
    common = {"_builtins", "_utilities", "typing", "outputs"}
    modules = {key for key, value in vars(package).items() if inspect.ismodule(value)}
    offered = {key for key in vars(package) if not key.startswith("__")} - modules
    assert modules - common == {home for home in homes.values() if home not in homes}
    assert offered == set(homes)
    assert all(getattr(package, key) is getattr(import_module(f"{name}.{home}"), key) for key, home in homes.items())


@pytest.mark.parametrize(
    "name", ["pulumi_kubernetes.apiextensions", "pulumi_kubernetes.helm.v3", "pulumi_kubernetes.yaml"]
)
def test_package_is_loaded_whole_when_it_does_more_than_list_modules(name: str) -> None:
    package = import_module(name)
    assert not hasattr(package, "nothing")
    assert not lazy_packages.homes(Path(inspect.getfile(package)).parent)


def test_only_what_is_used_is_loaded_when_a_program_uses_a_resource() -> None:
    done = run(
        """
        import pulumi_aws as aws
        import pulumi_kubernetes as k8s

        assert aws.ec2.Vpc.__module__ == "pulumi_aws.ec2.vpc"
        assert k8s.core.v1.ServicePortArgs.__module__ == "pulumi_kubernetes.core.v1._inputs"
        assert k8s.apiextensions.v1.CustomResourceDefinition.__module__.startswith("pulumi_kubernetes.apiextensions.v1")
        assert aws.ec2.outputs.__name__ == "pulumi_aws.ec2.outputs"
        assert "pulumi_aws.ec2.subnet" not in sys.modules
        assert "pulumi_kubernetes.core.v1.Pod" not in sys.modules
        import pulumi_aws.ec2.get_ami
        assert aws.ec2.get_ami is sys.modules["pulumi_aws.ec2.get_ami"].get_ami
        from pulumi_aws.ec2 import Subnet
        assert Subnet is sys.modules["pulumi_aws.ec2.subnet"].Subnet
        """
    )
    assert done.returncode == 0, done.stderr


def test_a_name_is_refused_as_ever_when_the_package_does_not_have_it() -> None:
    done = run("import pulumi_aws as aws\naws.ec2.Vpcc")
    assert done.returncode == 1
    assert "AttributeError: module 'pulumi_aws.ec2' has no attribute 'Vpcc'" in done.stderr
