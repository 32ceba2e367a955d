"""The commands about policies: judge a stack offline, show repairs, explain rules."""
