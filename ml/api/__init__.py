"""REST, GraphQL and the page of experiments: commands and outcomes in, projections of the event store out."""
