"""Gets models to the model server: export, version sync, and the client that asks for predictions."""
