"""A small server on TensorFlow that speaks TensorFlow Serving's API, for machines where its image cannot be had.

It stands in for `tensorflow_model_server` in the embedded platform: the same flags, ports, URLs, bodies, status codes
and metric names. It leaves out what the platform does not use: request batching, TLS, TensorFlow Lite, TPUs,
remote files. `tests/support/tfserving_conformance.py` says what both must do.
"""
