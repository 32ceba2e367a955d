"""GraphQL over the same projections as REST."""
