"""What a sweep will cost on this machine: parts of its trials timed, and what follows for all."""
