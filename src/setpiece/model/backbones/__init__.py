"""Images -> feature maps: convolutional networks."""
