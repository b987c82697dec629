"""2D key points of a person whose motion is the truth, in the files of the programs that estimate them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.landmark_layouts import LAYOUTS
from avatar.motion.bone_lengths import model_rest
from avatar.motion.procedural import builtin_motion
from avatar.motion.retarget import Retargeting, resample
from avatar.types import BodyTrack

WIDTH, HEIGHT, FOCAL, DISTANCE = 540, 960, 883.0, 3.5
COCO = LAYOUTS["coco17"].names
FACE = {"nose": (0.0, 0.1, 0.13), "eye": (0.03, 0.13, 0.1), "ear": (0.075, 0.1, 0.01)}  # from the head joint, metres


def moving_person(frames: int = 16, turned: float = 0.5, motion: str = "walk") -> tuple[BodyTrack, np.ndarray]:
    """A built-in motion on the spot, turned by some radians, at 15 per second, and its joints (frames, 24, 3)."""
    track = resample(builtin_motion(motion).track, Retargeting(fps=15.0, loop=3))
    rotations = track.poses.rotations[:frames].clone()
    c, s = np.cos(turned), np.sin(turned)
    rotations[:, 0] = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=torch.float32) @ rotations[:, 0]
    poses = type(track.poses)(track.poses.root_position[:frames], rotations)
    return track, joint_transforms(model_rest().float(), SMPL_PARENTS, poses).numpy()


def coco_points(transforms: np.ndarray) -> np.ndarray:
    """COCO's 17 key points in pixels, (frames, 17, 2), before a level camera."""
    places = []
    for name in COCO:
        side, _, kind = name.rpartition("_")
        if kind in FACE:
            x, y, z = FACE[kind]
            offset = np.array([-x if side == "right" else x, y, z, 1.0])
            places.append((transforms[:, SMPL_JOINTS.index("head")] @ offset)[:, :3])
        else:
            places.append(transforms[:, SMPL_JOINTS.index(name), :3, 3])
    world = np.stack(places, 1)
    camera = world * [1.0, -1.0, -1.0] + [0.0, 1.0, DISTANCE]
    pixels: np.ndarray = FOCAL * camera[..., :2] / camera[..., 2:] + [WIDTH / 2, HEIGHT / 2]
    return pixels


def in_layout(points: np.ndarray, layout: str) -> np.ndarray:
    """COCO's points (17, 2) with confidences in another layout; what COCO lacks is (0, 0, 0), as OpenPose writes it."""
    result = np.zeros((len(LAYOUTS[layout]), 3))
    for index, name in enumerate(LAYOUTS[layout].names):
        if name in COCO:
            result[index] = [*points[COCO.index(name)], 0.9]
        elif name in ("neck", "pelvis"):
            part = "shoulder" if name == "neck" else "hip"
            sides = [points[COCO.index(f"{side}_{part}")] for side in ("left", "right")]
            result[index] = [*np.mean(sides, 0), 0.8]
    return result


def write_openpose(folder: Path, people: list[list[np.ndarray]], layout: str = "body25") -> Path:
    """One file per frame, as OpenPose numbers them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(people):
        persons = [
            {"person_id": [-1], "pose_keypoints_2d": in_layout(points, layout).round(3).ravel().tolist()}
            for points in frame
        ]
        content = json.dumps({"version": 1.3, "people": persons})
        (folder / f"clip_{number:012d}_keypoints.json").write_text(content)
    return folder


def openpose_people(points: np.ndarray) -> list[dict[str, Any]]:
    """Frames of DWPose for ComfyUI: shares of the canvas, whose size is beside them."""
    frames = []
    for row in points:
        person = in_layout(row, "coco18")
        person[:, :2] /= [WIDTH, HEIGHT]
        frames.append(
            {
                "people": [{"pose_keypoints_2d": person.ravel().tolist(), "face_keypoints_2d": None}],
                "canvas_width": WIDTH,
                "canvas_height": HEIGHT,
            }
        )
    return frames


def mmpose(points: np.ndarray) -> dict[str, Any]:
    names = {str(i): name for i, name in enumerate(COCO)}
    frames = [
        {
            "frame_id": number + 1,
            "instances": [{"keypoints": row.tolist(), "keypoint_scores": [0.9] * 17, "bbox": [[0, 0, 9, 9]]}],
        }
        for number, row in enumerate(points)
    ]
    return {"meta_info": {"dataset_name": "coco", "keypoint_id2name": names}, "instance_info": frames}


def alphapose(points: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "image_id": f"{number}.jpg",
            "category_id": 1,
            "keypoints": in_layout(row, "halpe26").ravel().tolist(),
            "score": 2.9,
            "idx": [1.0],
        }
        for number, row in enumerate(points)
    ]


def alphapose_by_image(points: np.ndarray) -> dict[str, Any]:
    return {
        f"{number}.jpg": {"version": "AlphaPose", "bodies": [{"joints": in_layout(row, "coco18").ravel().tolist()}]}
        for number, row in enumerate(points)
    }


def coco(points: np.ndarray) -> dict[str, Any]:
    images = [
        {"id": 7000 + number, "file_name": f"img_{number:04d}.png", "width": WIDTH, "height": HEIGHT}
        for number in range(len(points))
    ]
    annotations = [
        {
            "id": number,
            "image_id": 7000 + number,
            "num_keypoints": 17,
            "keypoints": np.column_stack([row, np.full(17, 2)]).ravel().tolist(),
        }
        for number, row in enumerate(points)
    ]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "keypoints": list(COCO)}]}


def mediapipe(points: np.ndarray) -> dict[str, Any]:
    """Results of MediaPipe's pose landmarker, one per frame, with times in milliseconds."""
    frames = []
    for number, row in enumerate(points):
        person = in_layout(row, "blazepose33")
        named = [{"x": x / WIDTH, "y": y / HEIGHT, "z": 0.0, "visibility": sure} for x, y, sure in person.tolist()]
        frames.append({"timestamp_ms": 1000 / 15 * number, "landmarks": [named]})
    return {"width": WIDTH, "height": HEIGHT, "frames": frames}


def ultralytics(points: np.ndarray) -> list[Any]:
    return [
        [{"name": "person", "class": 0, "confidence": 0.9, "box": {"x1": 0, "y1": 0, "x2": 9, "y2": 9},
          "keypoints": {"x": row[:, 0].tolist(), "y": row[:, 1].tolist(), "visible": [0.9] * 17}}]
        for row in points
    ]  # fmt: skip


def openpifpaf(points: np.ndarray) -> list[Any]:
    return [
        {
            "frame": number,
            "predictions": [{"keypoints": in_layout(row, "coco17").ravel().tolist(), "bbox": [0, 0, 9, 9]}],
        }
        for number, row in enumerate(points)
    ]


def movenet(points: np.ndarray) -> list[Any]:
    """One person per frame, in a row."""
    return [
        {"keypoints": [{"name": name, "x": x, "y": y, "score": 0.9} for name, (x, y) in zip(COCO, row, strict=True)]}
        for row in points.tolist()
    ]


def posenet(points: np.ndarray) -> list[Any]:
    return [
        [{"score": 0.9, "keypoints": [{"part": name, "score": 0.9, "position": {"x": x, "y": y}}
                                      for name, (x, y) in zip(COCO, row, strict=True)]}]
        for row in points.tolist()
    ]  # fmt: skip


def nested_lists(points: np.ndarray) -> list[Any]:
    rows: list[Any] = points.tolist()
    return rows


def numbered_frames(points: np.ndarray) -> dict[str, Any]:
    return {str(number): {"keypoints": in_layout(row, "coco17").tolist()} for number, row in enumerate(points)}


def frames_of_one(points: np.ndarray) -> dict[str, Any]:
    return {"width": WIDTH, "height": HEIGHT, "frames": [{"keypoints": row.tolist()} for row in points]}


JSON_WRITERS: dict[str, Callable[[np.ndarray], Any]] = {
    "dwpose for comfyui": openpose_people,
    "mmpose": mmpose,
    "mmpose inferencer": lambda points: mmpose(points)["instance_info"],
    "alphapose": alphapose,
    "alphapose cmu": alphapose_by_image,
    "coco": coco,
    "mediapipe": mediapipe,
    "Ultralytics": ultralytics,
    "OpenPifPaf": openpifpaf,
    "MoveNet": movenet,
    "PoseNet": posenet,
    "nested lists": nested_lists,
    "numbered frames": numbered_frames,
    "frames of one": frames_of_one,
}
