"""Engines, which run the tasks: everything from the queue down to the worker process."""
