"""Parts that several families are made of: network bodies, observation models, averages."""
