"""Which variables a process that opens strangers' files gets."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workspace.environment import PASSED_ON, is_passed_on, without_secrets


@pytest.mark.attack
@pytest.mark.parametrize(
    "name",
    [
        *("HF_TOKEN", "GITHUB_PAT", "DATABASE_URL", "MYSQL_PWD", "PGPASSWORD", "KUBECONFIG", "SSH_AUTH_SOCK"),
        *("AWS_ACCESS_KEY_ID", "NVIDIA_API_KEY", "CUDA_PASSWORD", "HTTPS_PROXY", "CF_API_TOKEN", "CF_HUB_TOKENS"),
        *("MLFLOW_TRACKING_URI", "SLURM_JOB_ID", "XPATH", "PATHS", "LC", "OMP_PROC_BIND", "PYTHONSTARTUP"),
    ],
)
def test_what_is_not_on_the_list_is_not_passed_on(name: str) -> None:
    assert name not in without_secrets({name: "secret"})


@pytest.mark.parametrize(
    "name", ["PATH", "LC_ALL", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "LD_LIBRARY_PATH", "PYTORCH_CUDA_ALLOC_CONF"]
)
def test_what_libraries_need_is_passed_on(name: str) -> None:
    assert without_secrets({name: "value"})[name] == "value"


@settings(max_examples=20)
@given(st.dictionaries(st.text(), st.text()))
def test_of_any_environment_only_the_list_is_passed_on(environment: dict[str, str]) -> None:
    offline = without_secrets({}).keys()
    for name in without_secrets(environment).keys() - offline:
        assert is_passed_on(name)
        assert any(name == entry or (entry[-1] == "*" and name.startswith(entry[:-1])) for entry in PASSED_ON)


def test_the_documentation_has_the_list() -> None:
    text = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    rows = text.partition("## The environment")[2].partition("\n\nOf these")[0].splitlines()[5:]
    assert sorted(re.findall(r"`([A-Z_*0-9]+)`", "\n".join(rows))) == sorted(PASSED_ON)
