"""`mlp status`: what runs, what is served where, and why something is not ready."""
