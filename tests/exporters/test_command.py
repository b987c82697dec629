"""`avatar export` through the program: what it writes, and how wrong use ends."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from plyfile import PlyData

from avatar.cli.main import main
from avatar.exporters.linear_correctives import deformation, fit_correctives
from avatar.io.images import read_image
from avatar.io.track_file import save_track
from avatar.model.avatar import Avatar
from avatar.motion import load_motion
from avatar.types import BodyTrack
from tests.exporters.player_files import header_of, page_avatar


@pytest.fixture(scope="module")
def run_folder(person: Avatar, moves: dict[str, BodyTrack], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "me"
    folder.mkdir()
    person.save(folder / "avatar.safetensors")
    save_track(moves["wave"], folder / "track.npz")
    return folder


def export(*arguments: object) -> int:
    """Run the command and return its exit code."""
    try:
        main(["export", *map(str, arguments)])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    return 0


@pytest.mark.usefixtures("coarse_meshes")
def test_several_kinds_at_once(
    person: Avatar, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, ply, glb, motion = (tmp_path / name for name in ("me.html", "me.ply", "me.glb", "me.bvh"))
    code = export(
        run_folder, "--html", page, "--ply", ply, "--glb", glb, "--motion-file", motion, "--motion", "filmed", "squat",
        "--pose", "filmed:3", "--title", "Somebody", "--credits", "Filmed in the park",
    )  # fmt: skip
    output = capsys.readouterr().out
    assert code == 0 and all(str(path) in output and path.stat().st_size for path in (page, ply, glb, motion))
    assert "<title>Somebody</title>" in page.read_text() and "Filmed in the park" in page.read_text()
    header = header_of(page_avatar(page))
    assert [clip["name"] for clip in header["clips"]] == ["as filmed", "squat"]
    assert PlyData.read(ply)["vertex"].count == len(person)
    assert len(load_motion(motion).track) == 24


def test_splats_for_other_programs(
    person: Avatar, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed, still, rigged = (tmp_path / name for name in ("me.compressed.ply", "still.glb", "rigged.glb"))
    arguments = ("--compressed-ply", packed, "--glb-splats", still, "--glb-rigged-splats", rigged)
    assert export(run_folder, *arguments, "--motion", "wave", "--pose", "filmed:3") == 0
    output = capsys.readouterr().out
    assert "glb rigged splats: " in output and f"{len(person)} splats, 1 animations" in output
    assert packed.stat().st_size < 25 * len(person) and still.stat().st_size < rigged.stat().st_size


def test_another_body_shape_keeps_its_feet_on_the_ground(run_folder: Path, tmp_path: Path) -> None:
    lowest: dict[tuple[str, ...], float] = {}
    top: dict[tuple[str, ...], float] = {}
    shapes: tuple[tuple[str, ...], ...] = ((), ("--shape", "height=2.1,weight=0.7"))
    for shape in shapes:
        path = tmp_path / "me.ply"
        assert export(run_folder, "--ply", path, "--pose", "filmed:3", *shape) == 0
        y = PlyData.read(path)["vertex"]["y"]
        lowest[shape], top[shape] = y.min(), y.max()
    before, after = lowest
    assert top[after] - lowest[after] > 1.15 * (top[before] - lowest[before])
    assert lowest[after] == pytest.approx(lowest[before], abs=0.04)


def test_a_page_loads_nothing_from_anywhere(run_folder: Path, tmp_path: Path) -> None:
    assert export(run_folder, "--html", tmp_path / "me.html", "--motion", "filmed") == 0
    text = (tmp_path / "me.html").read_text()
    assert not [word for word in ("http:", "https:", "//cdn", "src=", "@import") if word in text]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Pass what to write and where"),
        (["--ply", "me.glb"], "--ply writes .ply, not me.glb."),
        (["--ply", "me.compressed.ply"], "--ply writes .ply, not me.compressed.ply."),
        (["--compressed-ply", "me.ply"], "--compressed-ply writes .compressed.ply, not me.ply."),
        (["--glb-splats", "me.ply"], "--glb-splats writes .glb, not me.ply."),
        (["--dataset", "labels.zip"], "--dataset writes a folder, not labels.zip."),
        (["--ply", "me.ply", "--pose", "filmed:24"], "filmed has the frames 0 to 23, not '24'."),
        (["--html", "me.html", "--motion", "moonwalk"], "There is no built-in motion 'moonwalk'"),
        (["--ply", "me.ply", "--shape", "height=210"], "--shape height is 1.3 to 2.2 metres, not '210'"),
        (["--turntable", "me.mp4", "--size", "big"], "--size must be WIDTHxHEIGHT"),
        (["--ply", "me.ply", "--live"], "pass --html FILE with it"),
        (["--web", "me.html"], "--web writes a folder, not me.html."),
        (["--ply", "me.ply", "--count", "3"], "--count is for --dataset: pass it too, or leave --count out."),
        (["--html", "me.html", "--pose", "rest"], "--pose is for --ply, --splat, --spz, --sog, --ksplat"),
        (["--web", "site", "--url", "example.org"], "--url must be an address such as https://example.org/me"),
        (["--ply", "me.ply", "--url", "https://example.org"], "pass --web DIR or --html FILE too"),
    ],
)
def test_wrong_use_is_one_sentence(
    run_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert export(run_folder, *arguments) == 2
    output = capsys.readouterr().err
    assert sentence in output and "Traceback" not in output
    assert not list(tmp_path.iterdir())


def test_a_folder_without_an_avatar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(tmp_path, "--ply", tmp_path / "me.ply") == 2
    assert "holds no finished avatar" in capsys.readouterr().err


def test_correctives_are_exact_up_to_their_rank(person: Avatar, moves: dict[str, BodyTrack]) -> None:
    """With as many components as key poses nothing is lost; with fewer, the error is what `kept` says."""
    clip = person.body.complete(moves["wave"].poses)[:6]
    exact = fit_correctives(person, [clip], [10.0], rank=6)
    for frame in range(6):
        torch.testing.assert_close(
            exact.field(exact.coefficients[0][frame]), deformation(person, clip[frame]), atol=1e-3, rtol=0
        )
    weaker = exact.truncated(2)
    assert weaker.explained < exact.explained <= 1 + 1e-4
    units = torch.tensor([0.02, 0.02, 0.02, 0.3])  # metres and log gain weigh as the network scales them
    fields = [deformation(person, clip[frame]) / units for frame in range(6)]
    residual = sum(
        float((weaker.field(weaker.coefficients[0][f]) / units - fields[f]).square().sum()) for f in range(6)
    )
    total = sum(float(field.square().sum()) for field in fields)
    assert 1 - residual / total == pytest.approx(weaker.explained, abs=1e-3)


def test_a_page_with_an_address_has_an_image_for_previews_of_links(run_folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "my page.html"
    assert export(run_folder, "--html", page, "--url", "https://example.org/people/", "--title", "A & B") == 0
    image = read_image(tmp_path / "my page.jpg")
    assert image.shape == (630, 1200, 3) and image.std() > 10
    text = page.read_text()
    assert '<meta property="og:image" content="https://example.org/people/my%20page.jpg">' in text
    assert '<meta property="og:title" content="A &amp; B">' in text
    assert export(run_folder, "--html", tmp_path / "plain.html") == 0
    assert "og:image" not in (tmp_path / "plain.html").read_text() and not (tmp_path / "plain.jpg").exists()
