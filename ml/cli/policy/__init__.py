"""The commands about policies: judge a stack offline or a cluster, show repairs, explain rules."""
