"""What becomes of an event: who may send it, its contract, version and window; the road of a batch."""
