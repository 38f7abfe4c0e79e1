"""Whether samples are copies of training images: nearest neighbours and the scores made of them."""
