"""Commands that handle files of any kind, each with a table of handlers by kind of product.

The format of a file is recognised by its content, and the format states the kind of product that
the file contains. Each module here has `HANDLERS` for the kinds that come with fastsig. A kind of a
plug-in needs none: if the module of its format has a function for the command (`info`, `verify`,
`draw`), that function is called.
"""

from fastsig.products.handlers import failure, handler_of

__all__ = ["failure", "handler_of"]
