"""What is kept: rows, groups, the writers, partitions, and how long events live."""
