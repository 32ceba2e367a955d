"""Runs the program of a stack without an engine, a cluster or a secret, and writes down what it would declare."""
