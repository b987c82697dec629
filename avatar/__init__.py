"""Film a person with a phone, run one command, get a Gaussian-splat avatar.

The flow, one public function an arrow (heavy imports happen inside them, so `import avatar` is fast):

    video --observe--> Observations --track--> BodyTrack --train--> Avatar --pose--> Gaussians --render--> RenderOutput
"""

__version__ = "0.1.0"
