"""`mlp plan` and `mlp analyze`: experiments for people, without a cluster."""
