"""The pickle module that a logged model names: it reads plain tensors and text, and refuses all else.

`mlflow.pytorch.load_model` calls `torch.load` with the module that lies named beside the file, and without
`weights_only`. With MLflow's own module whatever a file asks for is imported and called. This one lets
through what tensors need, and makes the trained model of what it has read.
"""

from __future__ import annotations

import pickle
from typing import Any

_OF_TENSORS = {("collections", "OrderedDict"), ("torch._utils", "_rebuild_tensor_v2")}


class Unpickler(pickle.Unpickler):
    """Reads what `dgmbench.tracking.saved_model` wrote, and gives the model."""

    def find_class(self, module: str, name: str) -> Any:
        """Raises pickle.UnpicklingError for anything that no tensor is made of."""
        if (module, name) not in _OF_TENSORS:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a tensor: the file is not ours")
        return super().find_class(module, name)

    def load(self) -> Any:
        """The trained model, in eval mode."""
        from dgmbench.tracking.saved_model import rebuilt

        return rebuilt(super().load())
