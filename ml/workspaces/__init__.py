"""What shows a team its own workspace of the registry, and nothing else of it."""
