"""Whose pixel is whose: where people touch or hide each other, their coarse avatars tell.

Every pixel that shows somebody goes to the person whose avatar, rendered in the frame's pose, covers it in that colour
and is not behind another one there. The detector's masks of both together say where people end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8

from avatar.io.images import write_image
from avatar.io.observations_file import image_path
from avatar.model.avatar import Avatar
from avatar.motion.retarget import at_times
from avatar.observation.mask_shapes import dilate, mask_scale, sharpened, signed_depth
from avatar.pipeline.run_folder import RunFolder
from avatar.rendering.renderer import render
from avatar.runtime.progress import progress
from avatar.types import BodyTrack, Observations

COLOR_SIGMA = 0.12  # by which the colours of a coarse avatar are off
MOST_COLOR = 4.0  # log-likelihood that a wrong colour costs at most
ASTRAY = 3.0  # pixels by which these colours lie elsewhere, see `mask_scale`
STRANGE = 0.8  # share of `MOST_COLOR` above which a pixel looks like nobody who should show there
DEPTH_SIGMA = 0.06  # metres, by which the depth of one person relative to another is off
EDGE = 3.0  # pixels by which an avatar's outline is off, see `mask_scale`; evidence grows with the distance from it
MOST_EVIDENCE = 3.0  # of outline and of depth each
SMOOTH = 2.0  # pixels over which evidence is gathered
UNSURE = 2.0  # difference of evidence below which nobody's pixel is trusted
# Intersection over union of a mask and what the avatar covers, at least, and at most below that person's usual one:
# otherwise the pose is wrong, and the whole mask is not trusted.
LEAST_AGREEMENT, MOST_BELOW = 0.6, 0.05
PRESENT = 0.5  # coverage from which an avatar shows


@dataclass(frozen=True)
class CoarsePerson:
    """One of the people, with what their masks were made from.

    Attributes:
        run: the run folder, whose masks are replaced; avatar: a coarse one; track: with the poses of its training.
    """

    run: RunFolder
    observations: Observations
    avatar: Avatar
    track: BodyTrack


@dataclass(frozen=True)
class Instance:
    """A person's pixels in one frame.

    Attributes:
        mask: soft; trust: 0 where it is not sure whose pixel it is, or where somebody else is.
        agreement: intersection over union with what the person's avatar covers, of trusted pixels.
    """

    mask: UInt8[np.ndarray, "h w"]
    trust: UInt8[np.ndarray, "h w"]
    agreement: float


@dataclass(frozen=True)
class Rendered:
    """A person's avatar as a frame's camera sees it.

    Attributes:
        alpha: coverage; rgb: straight colours; depth: metres, where it covers.
    """

    alpha: Float32[np.ndarray, "h w"]
    rgb: Float32[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]


def separate(people: Sequence[CoarsePerson], backend: str) -> int:
    """Replace the masks and the trust of the frames in which people touch or hide each other.

    Returns:
        In how many frames.
    """
    frames = list(_frames_of_contact(people))
    agreements: list[dict[int, float]] = [{} for _ in people]
    for time, rows in progress(frames, "telling people apart"):
        present = [who for who, row in enumerate(rows) if row is not None]
        first, row = people[present[0]], rows[present[0]]
        assert row is not None
        image = first.observations.images[row]
        rendered = [_rendered(person, time, first.track, row, backend) for person in people]
        masks = [people[who].observations.masks[index] for who in present if (index := rows[who]) is not None]
        instances = separated_masks(image, np.maximum.reduce(masks), rendered)
        for who in present:
            instance, folder, index = instances[who], people[who].run.observations, rows[who]
            assert index is not None
            agreements[who][index] = instance.agreement
            write_image(image_path(folder / "masks", index), instance.mask)
            write_image(image_path(folder / "trust", index), instance.trust)
    for person, agreement in zip(people, agreements, strict=True):
        _distrust_wrong_poses(person, agreement)
    return len(frames)


def _distrust_wrong_poses(person: CoarsePerson, agreement: dict[int, float]) -> None:
    """Trust nothing of the frames in which the avatar is not where the person is; `agreement` by frame."""
    least = max(LEAST_AGREEMENT, float(np.median(list(agreement.values()) or [0.0])) - MOST_BELOW)
    nothing = np.zeros((person.observations.height, person.observations.width), np.uint8)
    for index, value in agreement.items():
        if value < least:
            write_image(image_path(person.run.observations / "trust", index), nothing)


def _frames_of_contact(people: Sequence[CoarsePerson]) -> Iterator[tuple[float, list[int | None]]]:
    """Times at which somebody's pixels are not all trusted, and the frame of each person then; None without one."""
    places = [{round(float(time), 4): row for row, time in enumerate(one.observations.times)} for one in people]
    for time in sorted({time for place in places for time in place}):
        rows = [place.get(time) for place in places]
        if any(row is not None and _is_close(one.observations, row) for one, row in zip(people, rows, strict=True)):
            yield time, rows


def _is_close(observations: Observations, index: int) -> bool:
    return observations.trust is not None and bool((observations.trust[index] == 0).any())


@torch.no_grad()
def _rendered(person: CoarsePerson, time: float, track: BodyTrack, row: int, backend: str) -> Rendered | None:
    """The person at a time through the camera of a frame of a track; None before and after their own."""
    times, cameras = person.track.times, track.cameras
    assert cameras is not None
    if not float(times[0]) - 1e-3 <= time <= float(times[-1]) + 1e-3:
        return None
    pose = at_times(person.track, torch.tensor([time], dtype=torch.float64))[0][0]
    device = person.avatar.device
    out = render(person.avatar.pose(pose.to(device)), cameras[row].to(device), backend).to("cpu")
    alpha = out.alpha[0].numpy()
    solid = np.maximum(alpha, 1e-3)
    return Rendered(alpha, out.rgb[0].numpy() / solid[..., None], out.depth[0].numpy() / solid)


def separated_masks(
    image: UInt8[np.ndarray, "h w 3"], together: UInt8[np.ndarray, "h w"], rendered: Sequence[Rendered | None]
) -> list[Instance]:
    """Each person's pixels in one frame.

    Args:
        together: mask of all people; rendered: each person's avatar, None for who is not there.
    """
    scale = mask_scale(together)
    colors = [_unlike(image, one, scale) for one in rendered]
    evidence = np.stack([_evidence(color, one, rendered, scale) for color, one in zip(colors, rendered, strict=True)])
    evidence, unlike = (np.stack([_gathered(one, scale) for one in values]) for values in (evidence, colors))
    order = np.sort(evidence, axis=0)
    sure = order[-1] - order[-2] > UNSURE if len(order) > 1 else np.ones(together.shape, bool)
    owner = evidence.argmax(0)
    # An arm that its avatar holds elsewhere, before the body of somebody else, is not part of that body.
    sure &= np.take_along_axis(unlike, owner[None], 0)[0] < STRANGE * MOST_COLOR
    return [_instance(image, together, who, owner, sure, one, scale) for who, one in enumerate(rendered)]


def _gathered(values: Float32[np.ndarray, "h w"], scale: float) -> Float32[np.ndarray, "h w"]:
    import cv2

    return np.asarray(cv2.GaussianBlur(values, (0, 0), SMOOTH * scale), np.float32)


def _unlike(image: UInt8[np.ndarray, "h w 3"], one: Rendered | None, scale: float) -> Float32[np.ndarray, "h w"]:
    """How much each pixel looks unlike what an avatar shows there or very near; 0 where it covers nothing."""
    if one is None:
        return np.zeros(image.shape[:2], np.float32)
    step = max(1, round(ASTRAY * scale))
    straight = image.astype(np.float32) / 255
    least = np.full(image.shape[:2], MOST_COLOR, np.float32)
    for shift in product((-step, 0, step), repeat=2):
        moved = np.roll(one.rgb, shift, (0, 1))
        covered = np.roll(one.alpha, shift, (0, 1)) > PRESENT
        wrong = ((straight - moved) ** 2).sum(-1) / (2 * COLOR_SIGMA**2)
        least = np.where(covered, np.minimum(least, wrong), least)
    return np.where(one.alpha > PRESENT, least, np.float32(0)).astype(np.float32)


def _evidence(
    unlike: Float32[np.ndarray, "h w"], one: Rendered | None, everybody: Sequence[Rendered | None], scale: float
) -> Float32[np.ndarray, "h w"]:
    """Log-likelihood, up to a constant, that each pixel shows a person, who is `unlike` what it shows."""
    if one is None:
        return np.full(unlike.shape, -1e3, np.float32)
    outline = np.clip(signed_depth(_bytes(one.alpha)) / (EDGE * scale), -MOST_EVIDENCE, MOST_EVIDENCE)
    color = np.where(one.alpha > PRESENT, -unlike, -MOST_COLOR)
    nearest = np.full(unlike.shape, np.inf)
    for other in everybody:
        if other is not None and other is not one:
            nearest = np.where(other.alpha > PRESENT, np.minimum(nearest, other.depth), nearest)
    behind = np.where(one.alpha > PRESENT, one.depth - nearest, 0.0) / DEPTH_SIGMA
    hidden = np.where(np.isfinite(behind), np.clip(behind, -MOST_EVIDENCE, MOST_EVIDENCE), 0.0)
    return (outline + color - hidden).astype(np.float32)


def _instance(
    image: UInt8[np.ndarray, "h w 3"],
    together: UInt8[np.ndarray, "h w"],
    who: int,
    owner: np.ndarray,
    sure: Bool[np.ndarray, "h w"],
    one: Rendered | None,
    scale: float,
) -> Instance:
    own = owner == who
    likely = own.astype(np.float32)
    soft = sharpened(image.astype(np.float32), likely, max(2, round(2 * scale)))
    mask = np.rint(together * soft).astype(np.uint8)
    person = together > 127
    others = dilate(person & ~own, 1.0) & ~(own & sure)
    missed = np.zeros_like(person) if one is None else ~person & (signed_depth(_bytes(one.alpha)) > EDGE * scale)
    trust = np.where(others | (person & ~sure) | missed, 0, 255).astype(np.uint8)
    if one is None:
        return Instance(mask, np.zeros_like(trust), 0.0)
    visible = (own | ~person) & (trust > 0)
    shown, covered = (mask > 127) & (trust > 0), (one.alpha > PRESENT) & visible
    agreement = (shown & covered).sum() / max((shown | covered).sum(), 1)
    return Instance(mask, trust, float(agreement))


def _bytes(alpha: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    return np.asarray(np.rint(255 * alpha.clip(0, 1)), np.uint8)
