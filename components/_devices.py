"""How pods get whole cards as devices of Kubernetes (dynamic resource allocation), which NVIDIA's driver offers.

The scheduler chooses the card itself, by what the driver says about it; a device plugin only counts them.
"""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from ml.contracts.prerequisites import GPU_DEVICE_CLASS

CLAIM = "gpu"
"""Of a pod: the name by which its containers know what was claimed."""
DEVICE_QUOTA = f"{GPU_DEVICE_CLASS}.deviceclass.resource.k8s.io/devices"
"""Name under which a quota counts the cards that are claimed, given or not."""


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
