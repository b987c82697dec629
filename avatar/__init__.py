"""Film a person with a phone, run one command, get a Gaussian-splat avatar.

The flow, one public function an arrow (heavy imports happen inside them, so `import avatar` is fast):

    video --observe--> Observations --track--> BodyTrack --train--> Avatar --pose--> Gaussians --render--> RenderOutput
"""

import os

# OpenMP reads this once, when torch loads it: idle threads of torch must sleep, not spin, beside the renderer's own.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"
