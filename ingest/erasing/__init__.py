"""What an erasure and a subject's access find in the stores of ingest, and take out of them."""
