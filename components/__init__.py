"""The infrastructure of the platform: one component per file, wired by platform.py. Importing it creates nothing."""
