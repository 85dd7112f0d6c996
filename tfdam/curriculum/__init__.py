"""What is easy to say of target images, and how a network is held to it.

Curriculum Domain Adaptation (Zhang, David and Gong, ICCV 2017). Before adaptation, simple
models that the labelled source trains estimate how much of each target image every class
takes, and which class the plainest superpixels have. The segmentation network then keeps
its predictions to that. See PAPER.md [34].
"""
