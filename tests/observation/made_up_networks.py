"""A SimCC network of three filters that really looks: it finds the reddest, greenest and bluest spot of its image."""

from pathlib import Path

import numpy as np

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def spot_finder(
    path: Path, points: int = 17, size: tuple[int, int] = (192, 256), split: int = 2, scale: float = 1.0
) -> Path:
    """Write it as ONNX; its k-th point is the spot of colour k modulo 3. Its peaks are as high as the spot is bright.

    It takes images as RTMPose does: RGB, normalised by ImageNet's mean and deviation.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    width, height = size
    # How much a channel stands out from the two others, in [0, 1], from the normalised channels.
    pure = (np.eye(3) * 1.5 - 0.5) / 255
    filters = (pure * DEVIATION)[..., None, None].astype(np.float32)
    bias = (pure @ MEAN).astype(np.float32)
    # Between two pixels lie `split` bins, filled by straight lines; bin 0 is the first pixel's centre.
    line = np.maximum(0, 1 - np.abs(np.arange(1 - split, split)) / split).astype(np.float32)
    constants: dict[str, np.ndarray] = {
        "filters": filters, "bias": bias, "line": np.broadcast_to(line, (points, 1, len(line))).copy(),
        "chosen": np.arange(points) % 3, "scale": np.array(scale, np.float32),
    }  # fmt: skip
    nodes = [helper.make_node("Conv", ["input", "filters", "bias"], ["pure"])]
    for name, axis in (("simcc_x", 2), ("simcc_y", 3)):
        nodes += [
            helper.make_node("ReduceMax", ["pure"], [f"{name}_max"], axes=[axis], keepdims=0),
            helper.make_node("Gather", [f"{name}_max", "chosen"], [f"{name}_rows"], axis=1),
            helper.make_node(
                "ConvTranspose", [f"{name}_rows", "line"], [f"{name}_bins"], group=points, strides=[split],
                pads=[split - 1, 0],
            ),
            helper.make_node("Mul", [f"{name}_bins", "scale"], [name]),
        ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "spots",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, height, width])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("simcc_x", "simcc_y")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def other_network(path: Path, inputs: list[int | str], outputs: list[list[int]]) -> Path:
    """A network of one given input shape that answers with zeros of the given shapes."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("Identity", [f"zeros{i}"], [f"out{i}"]) for i in range(len(outputs))],
        "zeros",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, shape) for i, shape in enumerate(outputs)],
        [numpy_helper.from_array(np.zeros(shape, np.float32), f"zeros{i}") for i, shape in enumerate(outputs)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path
