"""How pods get whole cards as devices of Kubernetes (dynamic resource allocation), which NVIDIA's driver offers.

The scheduler chooses the card itself, by what the driver says about it; a device plugin only counts them.
"""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from components._workload import GPU_RESOURCE
from ml.contracts.prerequisites import GPU_DEVICE_CLASS

CLAIM = "gpu"
"""Of a pod: the name by which its containers know what was claimed."""


def claim_spec(gpus: int, accelerator: str | None) -> k8s.resource.v1.ResourceClaimTemplateSpecArgs:
    """Return what is claimed for one pod: so many cards, of this kind; None takes any."""
    request = k8s.resource.v1.ExactDeviceRequestArgs(
        device_class_name=GPU_DEVICE_CLASS,
        allocation_mode="ExactCount",
        count=gpus,
        selectors=None if accelerator is None else [_of_kind(accelerator)],
    )
    return k8s.resource.v1.ResourceClaimTemplateSpecArgs(
        spec=k8s.resource.v1.ResourceClaimSpecArgs(
            devices=k8s.resource.v1.DeviceClaimArgs(
                requests=[k8s.resource.v1.DeviceRequestArgs(name=CLAIM, exactly=request)]
            )
        )
    )


def device_amounts(gpus: int) -> dict[str, str]:
    """Return the most that may be claimed, as a ResourceQuota takes it; claims count whether they are met or not.

    Nothing is to be had in the driver's other ways, or it would be counted elsewhere: neither slices, nor cards for
    virtual machines, nor cards by number, which it gives from Kubernetes 1.36 on.
    """
    claimed = {GPU_DEVICE_CLASS: gpus, "mig.nvidia.com": 0, "vfio.gpu.nvidia.com": 0}
    counted = {f"{name}.deviceclass.resource.k8s.io/devices": str(most) for name, most in claimed.items()}
    return {**counted, f"requests.{GPU_RESOURCE}": "0"}


def pod_claim(template: pulumi.Input[str]) -> k8s.core.v1.PodResourceClaimArgs:
    """Return what makes Kubernetes write each pod a claim of its own from this template, and end both together."""
    return k8s.core.v1.PodResourceClaimArgs(name=CLAIM, resource_claim_template_name=template)


def _of_kind(accelerator: str) -> k8s.resource.v1.DeviceSelectorArgs:
    """Want the card's name as a word of the product's: l4 is `NVIDIA L4` and not `NVIDIA L40S`."""
    word = accelerator.replace("-", "[ -]")
    product = f"device.attributes['{GPU_DEVICE_CLASS}'].productName"
    return k8s.resource.v1.DeviceSelectorArgs(
        cel=k8s.resource.v1.CELDeviceSelectorArgs(expression=rf"{product}.lowerAscii().matches(r'\b{word}\b')")
    )
