"""What commands do with files of any kind: a table from kind to handler for each of them.

A file's format is found by its content, and the format states what kind of product it holds. Each
module here has `HANDLERS` for the kinds that are ours. A kind of a plug-in needs none: where its
format's module has a function of the command's own name (`info`, `verify`, `draw`), that is called.
"""

from fastsig.products.handlers import failure, handler_of

__all__ = ["failure", "handler_of"]
