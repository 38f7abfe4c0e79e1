"""Densities with a closed form, EM or nothing to learn: what a deep model has to beat."""
