"""What readers and writers of voltages share."""
