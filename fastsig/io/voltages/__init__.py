"""Code that the readers and writers of voltages share."""
