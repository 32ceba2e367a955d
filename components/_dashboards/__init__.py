"""The dashboards as code. `python -m components._dashboards` writes components/dashboards, which the program reads: so
that a deployment need not load what builds them.
"""
