"""The server's command line: what the platform passes is taken, what the real server does not know is refused."""

from __future__ import annotations

import pytest

from local.modelserver.flags import FlagError, parse

NEEDED = "--model_base_path=/models/m"


def test_flags_are_taken_when_they_are_the_real_servers() -> None:
    flags, without_effect = parse(
        [
            "--port=8500",
            "--rest_api_port=8501",
            "--model_name=m",
            NEEDED,
            "--enable_grpc_healthcheck_service",
            "--enable_model_warmup=false",
            "--num_load_threads=1",
            "--num_unload_threads=1",
            "--tensorflow_intra_op_parallelism=2",
            "--tensorflow_inter_op_parallelism=3",
            "--rest_api_timeout_in_ms=5000",
        ]
    )
    assert (flags.port, flags.rest_api_port, flags.model_name) == (8500, 8501, "m")
    assert flags.enable_grpc_healthcheck_service
    assert not flags.enable_model_warmup
    assert flags.session_threads == (2, 3)
    assert without_effect == ()


def test_defaults_are_the_real_servers_when_nothing_else_is_given() -> None:
    flags, _ = parse([NEEDED])
    assert (flags.port, flags.rest_api_port, flags.rest_api_timeout_in_ms) == (8500, 0, 30_000)
    assert (flags.file_system_poll_wait_seconds, flags.max_num_load_retries) == (1, 5)
    assert flags.load_retry_interval_micros == 60_000_000


def test_flags_for_speed_are_named_when_they_have_no_effect() -> None:
    _, without_effect = parse([NEEDED, "--enable_batching=true", "--flush_filesystem_caches=false"])
    assert without_effect == ("enable_batching", "flush_filesystem_caches")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([NEEDED, "--no_such_flag=1"], "unknown argument: --no_such_flag=1"),
        ([NEEDED, "stray"], "unknown argument: stray"),
        ([NEEDED, "--port"], "--port: needs a value"),
        ([NEEDED, "--port=many"], "--port=many: allowed is a value of type int"),
        ([NEEDED, "--enable_model_warmup=perhaps"], "--enable_model_warmup=perhaps: allowed are true and false"),
        ([NEEDED, "--port=70000"], "--port=70000: allowed are 0 (off) to 65535"),
        ([NEEDED, "--port=8501", "--rest_api_port=8501"], "must differ from --port"),
        ([NEEDED, "--rest_api_num_threads=0"], "--rest_api_num_threads=0: allowed is 1 or more"),
        ([NEEDED, "--max_num_load_retries=-1"], "--max_num_load_retries=-1: allowed is 0 or more"),
        ([NEEDED, "--monitoring_config_file=/no/such/file"], "--monitoring_config_file=/no/such/file: no such file"),
        ([], "model_base_path and server_options.model_config_file are empty"),
        ([NEEDED, "--ssl_config_file=/x"], "not supported by the stand-in: --ssl_config_file=/x"),
    ],
)
def test_command_line_is_refused_when_it_is_wrong(arguments: list[str], message: str) -> None:
    with pytest.raises(FlagError) as refused:
        parse(arguments)
    assert message in str(refused.value)


def test_all_problems_are_named_when_there_are_several() -> None:
    with pytest.raises(FlagError) as refused:
        parse(["--port=-1", "--num_load_threads=-1"])
    for part in ("--port=-1", "--num_load_threads=-1", "model_base_path"):
        assert part in str(refused.value)
