"""What TensorFlow Serving's API does, one function per behaviour, to be run against any server that speaks it.

Run against the stand-in by tests/local/modelserver/test_conformance.py; a deployed slot or the official image only
needs another `Target`. The model under test must have the platform's signature: `serving_default` with one string input
named `input`. Sources: TensorFlow Serving's code (2.20) and its documentation of the REST API.

Does not prove: how fast the server is, or anything about loading and unloading (tests of the stand-in do that).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.support import tfserving_grpc as grpc
from tests.support import tfserving_predictions as predictions
from tests.support import tfserving_refusals as refusals
from tests.support import tfserving_state as state
from tests.support.tfserving_target import Target

Check = Callable[[Target], None]

REST_CHECKS: Final[tuple[Check, ...]] = (
    predictions.answers_rows,
    predictions.answers_plain_rows_alike,
    predictions.answers_columns,
    predictions.decodes_base64,
    predictions.takes_any_bytes,
    predictions.answers_a_version,
    predictions.takes_a_signature_name,
    predictions.ignores_letter_case_of_the_path,
    refusals.refuses_what_is_no_json,
    refusals.refuses_a_request_without_tensors,
    refusals.refuses_values_of_another_type,
    refusals.refuses_unknown_and_missing_names,
    refusals.refuses_mixed_and_ragged_rows,
    refusals.refuses_bad_base64,
    refusals.refuses_unknown_signatures,
    refusals.refuses_unknown_models_versions_and_labels,
    refusals.refuses_malformed_paths,
    refusals.refuses_to_classify_and_regress_without_such_a_signature,
    refusals.knows_nothing_outside_the_api,
    state.reports_status,
    state.reports_status_of_nothing_as_not_found,
    state.reports_metadata,
)
METRICS_CHECKS: Final[tuple[Check, ...]] = (state.counts_requests_by_status, state.measures_latency)
GRPC_CHECKS: Final[tuple[Check, ...]] = (
    grpc.answers_grpc_predictions_like_rest,
    grpc.filters_grpc_outputs,
    grpc.refuses_bad_grpc_predictions,
    grpc.reports_status_and_metadata_over_grpc,
    grpc.answers_grpc_health_checks,
)
ALL_CHECKS: Final = (*REST_CHECKS, *METRICS_CHECKS, *GRPC_CHECKS)
