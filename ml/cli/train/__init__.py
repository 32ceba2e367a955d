"""`mlp train`: runs the training pipeline as a Kubernetes Job and follows it to its end."""
