"""The numbers of gsplat 1.5.3 that all backends share."""

BLUR = 0.3  # px^2, added to both variances of a projected Gaussian so that it never falls between pixels
MIN_ALPHA = 1 / 255  # weaker is skipped
MAX_ALPHA = 0.999  # stronger is cut, so that what lies behind keeps a gradient
MIN_TRANSMITTANCE = 1e-4  # a pixel ends before its transmittance would fall to this
NEAR = 0.01  # m; nearer Gaussians are not drawn
VIEW_MARGIN = 0.15  # of the picture's size: how far beyond its borders the projection is linearised in place
