"""The formats of real images: in a module without imports, for the processes that decode one image and end."""

#: Pillow's names of the formats that a real image may have; a fixed list, so that no file can start another program.
#: The multi-picture JPEGs of cameras (MPO) come with JPEG.
REAL_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF")
