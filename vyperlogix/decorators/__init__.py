"""`from vyperlogix.decorators import expose` gives the module `expose` itself."""

import expose as expose

__all__ = ["expose"]
