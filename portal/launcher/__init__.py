"""Starting, stopping and testing the whole portal on one machine."""
