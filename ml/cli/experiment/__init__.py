"""`mlp experiment`: experiments on live traffic, through the API."""
