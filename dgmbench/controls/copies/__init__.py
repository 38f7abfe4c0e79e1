"""Controls of memorisation: planted copies, shifted images, overfitting beside underfitting."""
