"""Several finished people shown together: videos, page and viewer."""

from pathlib import Path

import pytest
import torch

from avatar.cli.main import main
from avatar.errors import UsageError
from avatar.io.images import read_image
from avatar.io.track_file import save_track
from avatar.model.avatar import Avatar
from avatar.motion.procedural import builtin_motion
from avatar.motion.retarget import Retargeting
from avatar.pipeline.people_folder import PeopleFolder, open_people
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.together import APART, animated_together, filmed_together, motions_together
from avatar.viewer.clips import TRAINING
from avatar.viewer.session import open_session
from avatar.viewer.state import ViewState
from tests.viewer.sample import sample_avatar, sample_track

FRAMES, SPLATS = 12, 600


@pytest.fixture(scope="module")
def us(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people; the second comes later, and stands a metre further to the side."""
    folder = PeopleFolder(RunFolder(tmp_path_factory.mktemp("us")))
    folder.save("us.mp4", 2)
    for number, run in enumerate(folder.load()):
        run.folder.mkdir()
        avatar: Avatar = sample_avatar(SPLATS)
        avatar.save(run.avatar)
        track = sample_track(avatar, FRAMES)
        track.poses.root_position.add_(torch.tensor([float(number), 0.0, 0.0]))
        track.times.add_(0.2 * number)
        save_track(track, run.track)
    return folder.run.folder


def test_tracks_of_a_video_share_times_and_world(us: Path) -> None:
    first, second = filmed_together(open_people(us), 30.0)
    assert torch.equal(first.times, second.times) and float(first.times[0]) == 0
    assert float(first.times[-1]) == pytest.approx((FRAMES - 1) / 15 + 0.2, abs=0.04)
    apart = (second.poses.root_position - first.poses.root_position)[:, 0]
    assert torch.allclose(apart, torch.ones(len(apart)), atol=1e-4)
    still = second.poses.rotations[:6]
    assert torch.allclose(still, still[:1].expand_as(still)), "who comes later stands still until then"


def test_motions_that_know_nothing_of_each_other_are_side_by_side(us: Path) -> None:
    people = open_people(us)
    walk, wave = builtin_motion("walk"), builtin_motion("wave")
    tracks = animated_together(people, [walk, wave], Retargeting())
    places = [track.poses.root_position[0, 0] for track in tracks]
    assert float(places[1] - places[0]) == pytest.approx(APART, abs=0.1)
    together = animated_together(people, [walk], Retargeting(facing="keep"))
    assert torch.allclose(together[0].poses.root_position, together[1].poses.root_position, atol=1e-3)
    with pytest.raises(UsageError, match="3 motions for 2 people"):
        animated_together(people, [walk] * 3, Retargeting())
    clips = motions_together(people, ("filmed", "wave"))
    assert list(clips) == ["as filmed", "wave"] and all(len(tracks) == 2 for tracks in clips.values())


def test_a_video_shows_everybody(us: Path, tmp_path: Path) -> None:
    image = tmp_path / "both.png"
    options = ["--size", "96x64", "--camera", "front", "--out", str(image)]
    main(["animate", str(us), "--motion", "wave,walk", *options])
    columns = (read_image(image)[..., :3].min(-1) < 200).any(0).nonzero()[0]
    assert (columns < 44).any() and (columns > 52).any()


def test_the_page_holds_everybody(us: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "us.html"
    main(["export", str(us), "--html", str(page), "--motion", "filmed"])
    assert "2 people" in capsys.readouterr().out
    assert page.read_text(encoding="utf-8").count('<script class="companion"') == 1
    with pytest.raises(SystemExit) as end:
        main(["export", str(us), "--glb", str(tmp_path / "us.glb")])
    assert end.value.code == 2 and "person-1" in capsys.readouterr().err


def test_the_viewer_plays_everybody(us: Path) -> None:
    session = open_session(us)
    betas = tuple(session.avatar.betas.tolist())
    state = ViewState(TRAINING, betas, "splats")
    everybody = session.gaussians(session.posed_state(state))
    assert len(everybody) == 2 * SPLATS
    first, second = everybody.means[:SPLATS], everybody.means[SPLATS:]
    assert float((second.mean(0) - first.mean(0))[0]) == pytest.approx(1.0, abs=0.05)
    assert session.folder == us / "person-1"
