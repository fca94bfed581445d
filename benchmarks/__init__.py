"""What the README claims of speed and safety, measured: `python -m benchmarks.NAME`."""
