"""What is done with personal values before anything is written."""
