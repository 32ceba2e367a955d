"""`mlp render`: what a stack would declare, as a tree, manifests, counts, costs, and compared with something else."""
