"""Pixel-by-pixel models with exact likelihood: PixelCNN, gated PixelCNN, Row LSTM, Diagonal BiLSTM."""
