"""Recipes: command lines, many times, and what becomes of them."""
