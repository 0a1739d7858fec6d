"""One command for every figure that the project states; results are committed as JSON."""
