"""Where weights are loaded from: a folder, the hub, or an earlier download where the hub does not answer."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from avatar.errors import AvatarError, UsageError
from avatar.novel_views.diffusers_weights import licence_of, located

constants = pytest.importorskip("huggingface_hub.constants")


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[int]]:
    """A hub that hangs up on everybody; gives a list that holds an entry per caller."""
    server, callers = socket.create_server(("127.0.0.1", 0)), list[int]()

    def hang_up() -> None:
        while True:
            try:
                caller, _ = server.accept()
            except OSError:
                return
            callers.append(1)
            caller.close()

    thread = threading.Thread(target=hang_up, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield callers
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def test_a_hub_that_does_not_answer_is_not_asked_again_and_again(unreachable: list[int]) -> None:
    """And its silence is not taken for a model card without a licence."""
    with pytest.raises(AvatarError, match="hub does not answer, and some/model was not downloaded before: connect"):
        licence_of("some/model")
    assert len(unreachable) <= 2  # a closed connection may be opened anew; the client's usual retries are 5


def test_an_earlier_download_serves_without_the_hub(unreachable: list[int], tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--some--model"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    (snapshot / "README.md").write_text("---\nlicense: mit\n---\n")
    assert located("some/model") == str(snapshot)
    assert "under the licence mit" in licence_of("some/model")


def test_a_folder_needs_no_hub(unreachable: list[int], tmp_path: Path) -> None:
    assert located(str(tmp_path)) == str(tmp_path) and not unreachable
    for name, message in ((f"{tmp_path}/absent", "There is no folder"), ("a/b/c", "shows you no such model")):
        with pytest.raises(UsageError, match=message):
            located(name)
    assert not unreachable
