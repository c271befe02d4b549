"""The laboratory: namespaces, rivals and measurements; it may import every other room and none imports it."""
