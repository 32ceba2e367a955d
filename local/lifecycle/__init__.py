"""Brings one instance of the platform up on this machine and takes it down again."""
