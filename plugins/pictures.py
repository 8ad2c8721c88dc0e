"""A picture made with a third-party package: Pillow, which `requirements.txt` beside this file names."""

from io import BytesIO
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

import expose


@expose.endpoint()
def badge(text: str = "Plugbay", colour: Literal["steelblue", "seagreen", "tomato"] = "steelblue") -> expose.Response:
    """White text on a coloured ground, as PNG."""
    font = ImageFont.load_default(size=24)
    left, top, right, bottom = font.getbbox(text[:80])
    picture = Image.new("RGB", (int(right - left) + 24, int(bottom - top) + 24), colour)
    ImageDraw.Draw(picture).text((12 - left, 12 - top), text[:80], "white", font)
    png = BytesIO()
    picture.save(png, "PNG")
    return expose.Response(png.getvalue(), media_type="image/png")
