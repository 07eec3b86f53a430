"""Engines: where tasks are done, from the queue down to the worker process."""
