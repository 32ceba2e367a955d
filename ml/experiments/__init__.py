"""Statistics that decide: pure functions for experiments on live traffic.

numpy and scipy only, no I/O, no clock. Bad input is a ValueError that names the argument, its value and what is
allowed; no function answers with NaN or prints a warning. One topic per module:

Fixed horizon: proportions, means, ranks, lift, ratio, cuped, clusters, quantiles, bootstrap, noninferiority.
Planning: design, noninferiority_design, duration.
Group sequential: spending, boundaries, characteristics, futility, stopping (built on recursion).
Anytime-valid: mixtures, bernoulli_sequences, sprt, sequential_quantiles, exceedance, rates (built on tilts).
Health: srm, strata, multiplicity, dynamics.
Views and tools: bayesian, drift, drift_online, assignment (built on xxhash64), prometheus.
The rule of an experiment: specification, history, decision.
"""
