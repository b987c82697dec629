"""Named presets, installed as `avatar.configs`."""
