"""What the platform refuses to deploy: one set of rules for preview, offline checks, admission and audits."""
