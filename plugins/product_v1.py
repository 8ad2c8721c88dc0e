"""Several APIs with one version number between them: `/product_v1/products/`, `/product_v1/product/2/`."""

import expose

PRODUCTS = {1: {"name": "Lamp", "price": 39.0}, 2: {"name": "Chair", "price": 85.5}}


@expose.endpoint()
def products() -> list[int]:
    """The numbers of all products."""
    return list(PRODUCTS)


@expose.endpoint()
def product(number: int) -> dict[str, object]:
    """One product."""
    if number not in PRODUCTS:
        raise expose.HTTPError(404, f"there is no product {number}")
    return PRODUCTS[number]
