"""Random damage, and what it comes to: a few cases of each kind in the tests, many in `make fuzz`."""
