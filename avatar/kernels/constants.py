"""The numbers of gsplat 1.5.3 that all backends share, and those of SSIM."""

import math

BLUR = 0.3  # px^2, added to both variances of a projected Gaussian so that it never falls between pixels
MIN_ALPHA = 1 / 255  # weaker is skipped
MAX_ALPHA = 0.999  # stronger is cut, so that what lies behind keeps a gradient
MIN_TRANSMITTANCE = 1e-4  # a pixel ends before its transmittance would fall to this
NEAR = 0.01  # m; nearer Gaussians are not drawn
VIEW_MARGIN = 0.15  # of the image's size: how far beyond its borders the projection is linearised in place

SSIM_RADIUS = 5  # px: the window is 11 x 11
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # for values in [0, 1]
_GAUSSIAN = [math.exp(-0.5 * (i / 1.5) ** 2) for i in range(SSIM_RADIUS + 1)]
SSIM_TAPS = [g / (2 * sum(_GAUSSIAN) - _GAUSSIAN[0]) for g in _GAUSSIAN]
"""Weights of the window (sigma 1.5 px) along one axis, from its centre outwards; both sides together sum to one."""


TERMS = 8
