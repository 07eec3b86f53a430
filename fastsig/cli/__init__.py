"""The command line: one file for each command. Heavy modules are loaded inside the commands."""
