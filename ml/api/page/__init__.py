"""The page of the experiments: rendered on the server, live with a small script of its own, whole without it."""

from ml.api.page.router import build_page_router

__all__ = ["build_page_router"]
