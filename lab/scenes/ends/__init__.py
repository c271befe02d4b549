"""The two ends of a scene, each a program of its own; they say what happens as lines of JSON."""
