"""How much of a cluster one namespace may take."""

from __future__ import annotations

from components._devices import device_amounts
from components._rules import integer
from components._schema import schema, setting
from components._workload import GPU_RESOURCE


@schema
class Quota:
    """The sum over everything in a namespace, and with it the most that one container or claim may ask for."""

    cpus: int = setting(integer(1, 10_000, "cores reserved in all"), default=8)
    memory_gib: int = setting(integer(1, 100_000, "GiB in all"), default=32)
    gpus: int = setting(integer(0, 1_000, "whole GPUs in all"), default=0)
    storage_gib: int = setting(integer(1, 1_000_000, "GiB in all volume claims"), default=100)

    def hard(self, *, by_claims: bool = False) -> dict[str, str]:
        """Return the amounts as a ResourceQuota takes them; `by_claims` if GPUs are claimed as devices.

        Ways in from outside the cluster are none: what a namespace offers to the world goes through the gateway.
        """
        return {
            "requests.cpu": str(self.cpus),
            "requests.memory": f"{self.memory_gib}Gi",
            "limits.memory": f"{self.memory_gib}Gi",
            **(device_amounts(self.gpus) if by_claims else {f"requests.{GPU_RESOURCE}": str(self.gpus)}),
            "requests.storage": f"{self.storage_gib}Gi",
            "persistentvolumeclaims": "50",
            "pods": "200",
            "count/jobs.batch": "500",
            "services.loadbalancers": "0",
            "services.nodeports": "0",
        }
