"""One file, one device: drivers know a device's bytes and nothing else."""
