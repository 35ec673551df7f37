"""What the search estimators tell scikit-learn of themselves."""

from __future__ import annotations

from typing import Any

from sparktrials.sklearn.component import SKLEARN
from sparktrials.sklearn.spaces import is_classification

__all__ = ["PipelineTags"]


class PipelineTags:
    """A classifier or a regressor, by what it searches; its data is for its pipelines to judge."""

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 - scikit-learn's, since 1.6
        from sklearn.utils import ClassifierTags, RegressorTags  # noqa: PLC0415 - since 1.6

        tags = super().__sklearn_tags__()  # type: ignore[misc]  # BaseEstimator's
        classification = is_classification(self)
        tags.estimator_type = "classifier" if classification else "regressor"
        tags.classifier_tags = ClassifierTags() if classification else None
        tags.regressor_tags = None if classification else RegressorTags()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    if SKLEARN < (1, 6):

        @property
        def _estimator_type(self) -> str:
            return "classifier" if is_classification(self) else "regressor"

        def _more_tags(self) -> dict[str, Any]:
            return {"allow_nan": True, "requires_y": True, "X_types": ["2darray", "string"]}
