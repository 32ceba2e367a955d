"""`mlp pipeline`: runs a pipeline where the platform runs pipelines, and follows it to its end."""
