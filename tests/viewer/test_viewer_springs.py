"""A skirt in the viewer swings as in videos, however one comes to a frame, and can be switched off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from avatar.model.avatar import Avatar
from avatar.model.spring_motion import with_swing
from avatar.motion.motion import uniform_track
from avatar.pipeline.finished_run import FinishedRun, open_run, save_garments
from avatar.pipeline.motions import builtin_track
from avatar.pipeline.run_folder import RunFolder
from avatar.types import BodyPose, BodyTrack
from avatar.viewer.app import Viewer
from avatar.viewer.clips import builtin_clips
from avatar.viewer.companions import Companion
from avatar.viewer.files_panel import track_of
from avatar.viewer.record import pose_at
from avatar.viewer.session import Session, open_session
from avatar.viewer.state import ViewState
from tests.model.skirts import person_in, skirt

from .webpage import Page, new_tab


@pytest.fixture(scope="module")
def skirt_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose avatar wears a skirt."""
    run = RunFolder(tmp_path_factory.mktemp("skirt"))
    avatar, labels = person_in(skirt())
    avatar.save(run.avatar)
    save_garments(run, labels)
    return run.folder


@pytest.fixture(scope="module")
def video(skirt_run: Path) -> tuple[Avatar, BodyTrack]:
    """The person, and the walk as `avatar animate` plays it."""
    avatar = open_run(skirt_run).with_springs()
    return avatar, with_swing(builtin_track(avatar, "walk"), avatar)


@pytest.fixture
def session(skirt_run: Path) -> Session:
    return open_session(skirt_run)


def walking(session: Session, frame: int, **changes: Any) -> ViewState:
    betas = tuple(session.avatar.betas.tolist())
    return replace(ViewState("walk", betas, frame=float(frame), on_spot=False), **changes)


def shown(session: Session, state: ViewState) -> torch.Tensor:
    return session.person(session.posed_state(state)).means


@torch.no_grad()
def posed(avatar: Avatar, pose: BodyPose) -> torch.Tensor:
    return avatar.pose(pose).means


def test_a_frame_is_that_of_the_video(session: Session, video: tuple[Avatar, BodyTrack]) -> None:
    """Also when it is gone to directly, from behind, or after the motion began again."""
    avatar, track = video
    for frame in (30, 0, 31, 70, 31, 1):
        expected = posed(avatar, track.poses[frame])
        assert torch.allclose(shown(session, walking(session, frame)), expected, atol=1e-5), frame
    still = posed(avatar, replace(track.poses[70], swing=None))
    assert float((shown(session, walking(session, 70)) - still).norm(dim=1).max()) > 0.02


def test_on_the_spot_it_is_the_same_skirt(session: Session) -> None:
    along, there = (shown(session, walking(session, 60, on_spot=on_spot)) for on_spot in (False, True))
    apart = along - there
    assert float(apart[:, 2].abs().min()) > 0.1
    assert torch.allclose(apart, apart[:1].expand_as(apart), atol=1e-5)


def test_switched_off_it_follows_the_limbs_to_the_bit(session: Session, skirt_run: Path) -> None:
    plain, off = open_run(skirt_run).avatar, open_session(skirt_run, springs=False)
    assert session.loose and not off.loose
    for frame in (0, 40):
        expected = posed(plain, builtin_track(plain, "walk").poses[frame])
        assert torch.equal(shown(session, walking(session, frame, springs=False)), expected)
        assert torch.equal(shown(off, walking(off, frame)), expected)


def test_who_wears_nothing_loose_is_as_before_to_the_bit(run_folder: Path) -> None:
    session = open_session(run_folder)
    assert not session.loose
    state = walking(session, 20)
    assert session.posed_state(state).pose.swing is None
    avatar = open_run(run_folder).avatar
    assert torch.equal(shown(session, state), posed(avatar, session.clip("walk").poses[20]))
    assert session.swinging_clip(state) is session.clip("walk")


def test_in_a_pose_made_by_hand_it_hangs_as_in_an_image_of_it(
    session: Session, video: tuple[Avatar, BodyTrack]
) -> None:
    avatar, track = video
    pose = replace(track.poses[12], swing=None)
    fingers = None if pose.fingers is None else pose.fingers[None]
    alone = uniform_track(pose.rotations[None], pose.root_position[None], 30.0, fingers=fingers)
    expected = posed(avatar, with_swing(alone, avatar).poses[0])
    state = walking(session, 50, edited=pose)
    assert torch.allclose(shown(session, state), expected, atol=1e-5)
    assert session.pose(state).swing is None, "what one goes on from is the pose of the body"
    assert session.pose(walking(session, 50)).swing is None


def test_another_shape_has_a_skirt_that_swings(session: Session, skirt_run: Path) -> None:
    shown(session, walking(session, 40))
    betas = session.avatar.betas + 0.3
    session.reshape(tuple(betas.tolist()))
    run = open_run(skirt_run)
    run.avatar.reshape(betas)
    avatar = run.with_springs()
    expected = posed(avatar, with_swing(track_of(session.clip("walk")), avatar).poses[40])
    assert torch.allclose(shown(session, walking(session, 40)), expected, atol=1e-5)


def test_who_plays_along_swings_too(video: tuple[Avatar, BodyTrack], run_folder: Path, skirt_run: Path) -> None:
    avatar, track = video
    dressed = FinishedRun(RunFolder(skirt_run), open_run(skirt_run).avatar).with_springs()
    first = open_run(run_folder).avatar
    session = Session(first, builtin_clips(first), companions=(Companion(dressed, builtin_clips(dressed)),))
    assert session.loose
    beside = shown(session, walking(session, 70))[len(first) :]
    assert torch.allclose(beside, posed(avatar, track.poses[70]), atol=1e-5)
    off = shown(session, walking(session, 70, springs=False))[len(first) :]
    assert torch.equal(off, posed(dressed, session.companions[0].read["walk"].poses[70]))


def test_a_recorded_motion_swings_also_between_its_frames(session: Session) -> None:
    clip = session.swinging_clip(walking(session, 0), even=True)
    ends, middle = [clip.poses[frame].swing for frame in (40, 41)], pose_at(clip, 40.5).swing
    assert middle is not None and ends[0] is not None and ends[1] is not None
    mean = (ends[0] + ends[1]) / 2
    assert float((ends[0] - ends[1]).abs().max()) > 1e-3
    assert torch.allclose(middle, mean, atol=1e-3)
    assert torch.allclose(middle @ middle.mT, torch.eye(3).expand_as(middle), atol=1e-5)
    assert session.swinging_clip(walking(session, 0, springs=False)).poses.swing is None


@pytest.mark.parametrize("loose", [True, False])
def test_the_page_has_a_switch_where_something_is_loose(
    browser: Any, skirt_run: Path, run_folder: Path, loose: bool
) -> None:
    viewer = Viewer(open_session(skirt_run if loose else run_folder), port=8766 + loose)
    viewer.store.set(playing=False)
    viewer.start()
    tab, errors = new_tab(browser, viewer.port)
    page = Page(tab, viewer, errors)
    tab.get_by_text("Playback", exact=True).click(force=True)
    switch = tab.get_by_label("Springs", exact=True)
    tab.get_by_label("Repeat", exact=True).wait_for()
    assert switch.count() == int(loose)
    if loose:
        assert viewer.store.state.springs

        def switched_off() -> bool:
            if switch.is_checked():  # a page that is still being built loses clicks
                switch.click(force=True)
            return not viewer.store.state.springs

        assert page.until(switched_off)
    tab.close()
    viewer.stop()
    assert errors == []
