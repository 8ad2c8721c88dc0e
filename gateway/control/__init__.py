"""The control plane: what operators see and change, and what the platform tells about itself."""
