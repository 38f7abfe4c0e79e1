"""Controls of gradient estimates through random latents."""
