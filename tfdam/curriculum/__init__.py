"""Curriculum domain adaptation (Zhang, David and Gong, ICCV 2017): easy tasks first.

Before adaptation, simple models are trained on the labelled source. For each target image
they estimate the share of pixels of every class, and the classes of the superpixels that
are easiest to classify. Loss terms then keep the segmentation network's predictions close
to these estimates. See PAPER.md [34].
"""
