"""Feature spaces and what is cached of them: the domain classifier, the Inception network."""
