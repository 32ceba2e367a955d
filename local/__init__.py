"""The embedded cluster: a whole Kubernetes on a bare machine. Nothing outside this folder imports it."""
