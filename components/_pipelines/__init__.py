"""The parts of the pipeline service; `components.pipeline_service` puts them together."""
