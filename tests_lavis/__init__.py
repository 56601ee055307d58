"""What needs the environment of LAVIS: `make test-lavis`."""
