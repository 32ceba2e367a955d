"""The server as a process: when its ports open, how it ends, and what it says when it cannot start."""

from __future__ import annotations

import concurrent.futures
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from local.paths import repo_root
from tests.local.modelserver.saved_models import write_broken_model, write_text_model
from tests.local.modelserver.server_process import ServerProcess


def test_ports_open_with_the_first_version_and_follow_new_ones_when_the_folder_was_empty(tmp_path: Path) -> None:
    base_path = tmp_path / "m"
    base_path.mkdir()
    with ServerProcess(tmp_path, "m", base_path) as server:
        server.wait_for(lambda: "No versions of servable m found under base path" in server.log)
        assert not server.is_open()
        write_text_model(base_path, 1, hidden=True).rename(base_path / "1")
        server.wait_until_open()
        assert server.states() == {1: "AVAILABLE"}

        write_text_model(base_path, 2, hidden=True).rename(base_path / "2")
        server.wait_for(lambda: server.states() == {2: "AVAILABLE", 1: "END"})
        assert server.target.predict({"instances": ["abc"]}).json()["predictions"][0]["version"] == 2

        write_broken_model(base_path, 3)
        server.wait_for(lambda: server.states().get(3) == "END")
        assert server.states() == {3: "END", 2: "AVAILABLE", 1: "END"}
        status = server.target.get("/v1/models/m/versions/3").json()["model_version_status"][0]["status"]
        assert status["error_code"] != "OK"
        assert status["error_message"]
        assert server.target.predict({"instances": ["abc"]}).status_code == 200
        assert server.terminate() == 0


def test_no_request_fails_when_versions_change_under_load(tmp_path: Path) -> None:
    base_path = tmp_path / "m"
    write_text_model(base_path, 1)
    with ServerProcess(tmp_path, "m", base_path) as server:
        server.wait_until_open()
        done = False

        def ask() -> list[int]:
            statuses: list[int] = []
            with httpx.Client(base_url=server.target.rest_url, timeout=30) as client:
                while not done:
                    statuses.append(client.post("/v1/models/m:predict", json={"instances": ["x"]}).status_code)
            return statuses

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(ask) for _ in range(4)]
            for version in (2, 3, 4):
                write_text_model(base_path, version, hidden=True).rename(base_path / str(version))
                server.wait_for(lambda version=version: server.states().get(version) == "AVAILABLE")
            (base_path / "4").rename(base_path / ".4")
            server.wait_for(lambda: server.states()[3] == "AVAILABLE")
            done = True
        statuses = [status for answer in answers for status in answer.result()]
        assert len(statuses) > 100
        assert set(statuses) == {200}


def test_open_requests_are_answered_when_the_server_is_told_to_end(tmp_path: Path) -> None:
    base_path = tmp_path / "m"
    write_text_model(base_path, 1)
    with ServerProcess(tmp_path, "m", base_path) as server:
        server.wait_until_open()
        body = b'{"instances": ["x"]}'
        head = f"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", server.rest_port), timeout=30) as connection:
            connection.sendall(head + body[:5])  # the request is under way, its body is not complete
            time.sleep(0.3)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                ended = pool.submit(server.terminate)
                time.sleep(0.5)
                connection.sendall(body[5:])
                answer = connection.recv(65_536)
                assert answer.startswith(b"HTTP/1.1 200")
                assert ended.result() == 0


def test_server_ends_with_an_error_when_its_only_version_is_broken(tmp_path: Path) -> None:
    write_broken_model(tmp_path / "m", 1)
    with ServerProcess(tmp_path, "m", tmp_path / "m") as server:
        assert server.wait() == 1
        assert "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available" in server.log


def test_server_ends_with_an_error_when_its_port_is_taken(tmp_path: Path, text_model: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # noqa: S104 as the server binds
        taken.listen()
        port = taken.getsockname()[1]
        with ServerProcess(tmp_path, "m", text_model, f"--rest_api_port={port}") as server:
            assert server.wait() == 1
            assert f"Failed to start HTTP Server at localhost:{port}" in server.log


def test_usage_is_printed_when_a_flag_is_unknown() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "local.modelserver", "--model_base_path=/x", "--no_such_flag=1"],
        cwd=repo_root(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("unknown argument: --no_such_flag=1\nusage: tensorflow_model_server")


def test_several_models_are_served_when_a_model_config_file_is_given(tmp_path: Path) -> None:
    for name, version in (("a", 1), ("a", 2), ("b", 1)):
        write_text_model(tmp_path / name, version)
    config = tmp_path / "models.config"
    config.write_text(
        f"""model_config_list {{
          config {{
            name: "a" base_path: "{tmp_path}/a" model_platform: "tensorflow"
            model_version_policy {{ all {{}} }} version_labels {{ key: "old" value: 1 }}
          }}
          config {{ name: "b" base_path: "{tmp_path}/b" model_platform: "tensorflow" }}
        }}"""
    )
    flags = [f"--model_config_file={config}", "--allow_version_labels_for_unavailable_models"]
    with ServerProcess(tmp_path, "a", tmp_path / "unused", flags[0]) as server:
        assert server.wait() == 1
        assert "Request to assign label to version 1 of model a, which is not currently available" in server.log
    with ServerProcess(tmp_path, "a", tmp_path / "unused", *flags) as server:
        server.wait_until_open()
        server.wait_for(lambda: server.states() == {2: "AVAILABLE", 1: "AVAILABLE"})
        old = server.target.predict({"instances": ["x"]}, "/labels/old").json()
        assert old["predictions"][0]["version"] == 1
        assert server.target.post("/v1/models/b:predict", {"instances": ["x"]}).status_code == 200
