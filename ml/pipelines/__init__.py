"""Kubeflow pipelines: what is run in which order, on a cluster or on this machine."""
