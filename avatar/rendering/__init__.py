"""Images of Gaussians: `renderer.render` by one of three backends, and the cameras to look at them with."""
