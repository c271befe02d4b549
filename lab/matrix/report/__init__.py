"""The matrix as told to eyes, to CI and to programs: each form a module that takes the same `Matrix`."""
