"""The pages of ingest, and what they show in words."""
