"""The name under which existing modules import the SDK: `from vyperlogix.decorators import expose`."""
