"""What people see of an experiment on live traffic: results, words, charts, reports. Shared by the page and `mlp`."""
