"""How long the engine waits for a resource to become ready; one setting for all, since every wait ends in a report."""

from __future__ import annotations

import pulumi


def ready_within(seconds: int) -> pulumi.ResourceTransformation:
    """Return a transformation that gives each resource below a component this long to be created or updated.

    A transformation, because resource options of this kind are not inherited and no component decides about it.
    """

    def transform(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if not issubclass(type(args.resource), pulumi.CustomResource):
            return None
        limit = f"{seconds}s"
        timeouts = pulumi.CustomTimeouts(create=limit, update=limit)
        opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(custom_timeouts=timeouts))
        return pulumi.ResourceTransformationResult(props=args.props, opts=opts)

    return transform
