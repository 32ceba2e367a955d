"""What the platform does with models: train, register, serve, experiment, decide. Knows nothing of Pulumi."""
