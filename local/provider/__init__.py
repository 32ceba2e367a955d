"""Stand-in for the Pulumi Kubernetes provider plugin, for the embedded cluster only.

The official plugin is a download from its maker. Where that is out of reach, this package speaks the same protocol to
the real Pulumi engine and changes the embedded cluster through the Kubernetes API. It refuses every other cluster:
the API server must hold the ConfigMap `kube-system/mlplatform-embedded` with a key `instance`, which the node writes.

How to run it: `install(DIR)`, or `python -m local.provider install DIR`, writes `DIR/pulumi-resource-kubernetes`. The
engine takes it from there if the project file says

    plugins:
      providers:
      - name: kubernetes
        path: DIR

Put this into a generated project file, never into the shared one, which would bind every stack to the stand-in.
A plugin that lies on PATH works as well, with a warning from the engine.

What it handles: plain Kubernetes objects and custom resources, by server-side apply. What it leaves out: charts, YAML
files, kustomizations, `*Patch` and `*List` resources, functions, rendering to files. It says so where they are asked
for. Replacement, naming, waiting and deletion follow the official plugin; where that offers a choice by annotation
or configuration, `checking` and `config` list what is known here. Three things go further:

- Every object is annotated with the URN of its resource. An object without it is never taken over or deleted, and one
  that carries it is continued with when a killed run made it and could not record that.
- Waiting ends early for an image that cannot be pulled and for a container that keeps crashing, and the error shows
  warnings and the last log lines.
- When an object is replaced by one of the same name, the new one is never deleted for the old one.
"""

from __future__ import annotations

from local.provider.packaging import install

__all__ = ["install"]
