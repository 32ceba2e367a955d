"""Monte-Carlo proof of what the experiments library promises; `python -m bench.simulate` prints figure and bar."""
