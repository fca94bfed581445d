"""What a user sees of a run, from its records alone: the live view, `status`, plans in words."""
