"""The products behind the names that sources give to indices."""

from __future__ import annotations

from typing import Final

from optionstream.schemas.codec import is_product

INDEX_PRODUCT: Final = {
    "NIFTY 50": "NIFTY",
    "NIFTY50": "NIFTY",
    "NIFTY BANK": "BANKNIFTY",
    "NIFTY FIN SERVICE": "FINNIFTY",
    "NIFTY MID SELECT": "MIDCPNIFTY",
    "NIFTY NEXT 50": "NIFTYNXT50",
}
"""Product by the name of the index, as the exchange writes it and as data vendors do."""


def product_named(text: str) -> str:
    """The product of an index or a symbol in any case. Raises ValueError for no product name."""
    name = " ".join(text.upper().split())
    product = INDEX_PRODUCT.get(name, name)
    if not is_product(product):
        raise ValueError(f"{text!r} is no product name: letters and digits")
    return product
