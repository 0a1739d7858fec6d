"""Warm start: a representation that begins with the tensors of an earlier file instead of random ones.

A file does not contain the encoder that made its embeddings, and the fit does not need it: the embeddings of
each frame become parameters that the fit changes directly. Ranges of a frame's bands are measured, not
learned, and keep their values from the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from inrcodec.errors import UsageError
from inrcodec.models.family import ParameterGroup, Representation, Role, TensorSpec
from inrcodec.models.layers.trainable import Trainable
from inrcodec.models.source import SourceFrames


class ContinuedRepresentation:
    """A family's representation that starts from the tensors of a file and has no encoder."""

    def __init__(
        self, representation: Representation, specs: Sequence[TensorSpec], values: Mapping[str, Tensor]
    ) -> None:
        """`values` are all transmitted tensors, whole. Raises `UsageError` for untrained networks."""
        network = representation.module
        if not isinstance(network, Trainable):
            raise UsageError(
                "--resume-from: networks of this family are not trained, so they cannot be refitted; omit it"
            )
        network.start({spec.name: values[spec.name] for spec in specs if not spec.per_frame})
        self._representation, self._network = representation, network
        self._learned = {
            spec.name: spec.name.replace(".", "_")
            for spec in specs
            if spec.per_frame and spec.role is Role.EMBEDDING
        }
        self._measured = [spec.name for spec in specs if spec.per_frame and spec.name not in self._learned]
        self.module = nn.Module()
        self.module.add_module("network", network.named)
        self._embeddings = nn.ParameterDict(
            {key: nn.Parameter(values[name].clone()) for name, key in self._learned.items()}
        )
        self.module.add_module("embeddings", self._embeddings)
        for name in self._measured:
            self.module.register_buffer(name, values[name].clone())

    def groups(self) -> tuple[ParameterGroup, ...]:
        """The family's groups, with embeddings in place of the encoder that made them."""
        network = {id(one) for one in self._network.named.parameters()}
        embeddings = tuple(self._embeddings.parameters())
        groups = []
        for group in self._representation.groups():
            kept = tuple(one for one in group.parameters if id(one) in network)
            if len(kept) < len(group.parameters) and not group.are_matrices:
                kept, embeddings = (*kept, *embeddings), ()
            groups.append(replace(group, parameters=kept))
        return tuple(groups)

    def transmitted(self, frames: SourceFrames | None, indices: Tensor) -> dict[str, Tensor]:
        learned = {name: self._embeddings[key][indices] for name, key in self._learned.items()}
        measured = {name: self.module.get_buffer(name)[indices] for name in self._measured}
        return {**learned, **measured, **self._network.shared()}

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        return self._representation.render(tensors, indices)
