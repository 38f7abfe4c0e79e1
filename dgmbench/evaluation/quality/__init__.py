"""How samples compare with held-out images: distances in features, blur, diversity, classes."""
