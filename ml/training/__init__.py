"""Trains the platform's text models; every step runs the same in a pod, in a subprocess and in a test."""
