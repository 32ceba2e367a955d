"""`mlp verify`: each component is checked by using it."""
