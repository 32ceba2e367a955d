"""From the inputs of a reference case to calls of public functions; no numbers of their own."""
