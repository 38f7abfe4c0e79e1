"""Model families, one file each; `dgmbench.models.registry` lists them."""
