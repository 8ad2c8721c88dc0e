"""The next version of the same APIs: callers choose, and both serve side by side."""

from dataclasses import dataclass
from decimal import Decimal

import expose


@dataclass
class Product:
    number: int
    name: str
    price: Decimal
    """Sent as text, so that no cent is lost."""
    currency: str = "EUR"


PRODUCTS = [Product(1, "Lamp", Decimal("39.00")), Product(2, "Chair", Decimal("85.50"))]


@expose.endpoint()
def products(most: Decimal | None = None) -> list[Product]:
    """All products, or those that cost `most` at most."""
    return [product for product in PRODUCTS if most is None or product.price <= most]


@expose.endpoint()
def product(number: int) -> Product:
    """One product."""
    for each in PRODUCTS:
        if each.number == number:
            return each
    raise expose.HTTPError(404, f"there is no product {number}")
