"""How a stack gets from a commit to a cluster: what a reviewer reads, how a version moves on, who deploys by Git."""
