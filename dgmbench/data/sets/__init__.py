"""The data sets, a file each: what is published, and how it is cut into splits."""
