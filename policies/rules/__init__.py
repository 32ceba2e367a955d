"""One rule per file; `policies.registry` lists them all."""
