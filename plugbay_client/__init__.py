"""What a program takes to call functions of Plugbay: this folder and PyNaCl, nothing else of the platform.

from plugbay_client import Client

client = Client("https://plugbay.example", tenant="0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1", key="pbk_…")
client.call("hello", {"name": "Ada"})
"""

from plugbay_client.client import Answer, CallFailed, Client
from plugbay_client.token import TokenKey, mint

__all__ = ["Answer", "CallFailed", "Client", "TokenKey", "mint"]
