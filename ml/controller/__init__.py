"""The experiment controller: so far it keeps each model's split VirtualService, the owner of the weights."""
