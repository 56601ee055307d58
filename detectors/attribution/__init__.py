"""Attribution: what a detector's features say of where an image is from, beyond real or generated.

They were trained for that one question only. How near each other the images of one architecture, or of one generator,
are in them is measured by nearest neighbours, as in the study's figures 8 and 9.
"""
