"""What is read from a container file: bases, copied files, whether it runs."""

from __future__ import annotations

import pytest

from local.images.containerfile import DEBIAN, ContainerfileError, parse

_TWO_STAGES = """# comment
ARG BASE=localhost/mlplatform/base:local
ARG BUILDER=localhost/mlplatform/builder:local
ARG DEBIAN=docker.io/library/debian:bookworm-slim
ARG OTHER=docker.io/library/golang:1.26
FROM ${BUILDER} AS packages
ARG NOT_A_BASE=localhost/mlplatform/other:local
COPY images/x/requirements.lock images/x/more /tmp/
RUN first \\
    # a comment within
 && second

FROM ${BASE}
COPY --from=packages /opt/venv /opt/venv
COPY --chown=1:1 ml /opt/ml
USER 1000:1000
"""


def test_parents_are_the_images_built_here_when_arguments_name_them_as_defaults() -> None:
    assert parse(_TWO_STAGES).parents == {"BASE": "base", "BUILDER": "builder", "DEBIAN": DEBIAN}


def test_sources_are_the_files_of_the_context_when_other_copies_come_from_a_stage() -> None:
    assert parse(_TWO_STAGES).sources == ("images/x/requirements.lock", "images/x/more", "ml")


def test_continuation_lines_are_joined_when_a_comment_lies_between() -> None:
    (run,) = [item for item in parse(_TWO_STAGES).instructions if item.keyword == "RUN"]

    assert (run.line, run.value) == (9, "first && second")


def test_the_final_stage_begins_at_the_last_from_when_there_are_several() -> None:
    assert [item.keyword for item in parse(_TWO_STAGES).final_stage] == ["FROM", "COPY", "COPY", "USER"]


@pytest.mark.parametrize(
    ("last_line", "runnable"), [('CMD ["x"]', True), ('ENTRYPOINT ["x"]', True), ("USER 1:1", False)]
)
def test_an_image_is_runnable_when_it_says_what_to_run(last_line: str, runnable: bool) -> None:
    assert parse(f"FROM scratch\n{last_line}\n").is_runnable is runnable


@pytest.mark.parametrize("source", ["/etc/passwd", "../secret", "images/*", "https://example.org/file", "a/../../b"])
def test_a_copy_is_refused_when_it_reaches_beyond_plain_paths(source: str) -> None:
    with pytest.raises(ContainerfileError, match=r"^line 2: COPY .* allowed are plain paths"):
        parse(f"FROM scratch\nCOPY {source} /x\n")


def test_a_file_without_a_base_is_refused_when_read() -> None:
    with pytest.raises(ContainerfileError, match="no FROM"):
        parse("ARG BASE=x\n")
