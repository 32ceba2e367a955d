"""Creating an experiment: the same admission as the controller's, then an `ABTest` object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from ml.api.auth import Principal
from ml.api.ports import Ports
from ml.api.problems import FieldError, ProblemError, field_errors, invalid, unavailable
from ml.api.views import CreatedView, CreateRequest, PlanView
from ml.contracts import LABEL_DOMAIN
from ml.contracts.abtest import API_GROUP, API_VERSION, KIND, write_spec
from ml.contracts.experiment_names import name_problem
from ml.controller.admission import ActiveExperiment, AdmissionFacts, AdmissionPlan, Queued, Refused, admit
from ml.controller.daily_units import DailyUnits, is_by_user, wants_measuring
from ml.controller.ports import UnavailableError
from ml.kubernetes import ApiError, ConflictError

CREATED_BY_ANNOTATION: Final = f"{LABEL_DOMAIN}/created-by"
WHY_ANNOTATION: Final = f"{LABEL_DOMAIN}/why"
REQUEST_ANNOTATION: Final = f"{LABEL_DOMAIN}/request"
"""Names the request that made the object, so that a repeated one recognises its own work."""
_MOST_ACTIVE: Final = 50


async def create(
    ports: Ports, namespace: str, principal: Principal, request: CreateRequest, *, request_digest: str = ""
) -> CreatedView:
    """Create an experiment.

    Raises:
        ProblemError: 409 or 422, nothing was created; 503, it is not known.
        StoreUnavailableError: no answer, nothing was created.
    """
    if problem := name_problem(request.name):
        raise invalid(str(problem), field_errors([problem]))
    admission = admit(request.spec, await _facts(ports, request.spec))
    if isinstance(admission, Refused):
        errors = field_errors(admission.problems)
        raise invalid("; ".join(error.detail for error in errors[:3]), errors)
    annotations = {
        CREATED_BY_ANNOTATION: principal.subject,
        **({WHY_ANNOTATION: request.why} if request.why else {}),
        **({REQUEST_ANNOTATION: request_digest} if request_digest else {}),
    }
    manifest = {
        "apiVersion": f"{API_GROUP}/{API_VERSION}",
        "kind": KIND,
        "metadata": {"name": request.name, "namespace": namespace, "annotations": annotations},
        "spec": write_spec(admission.spec),
    }
    made = await _make(ports, request.name, manifest, request_digest)
    queued = admission if isinstance(admission, Queued) else None
    return CreatedView(
        id=str(made["metadata"]["uid"]),
        name=request.name,
        namespace=namespace,
        model=admission.spec.model,
        phase="Pending",
        queued_behind=queued.behind if queued else (),
        message=queued.message if queued else "",
        plan=_plan_view(admission.plan),
    )


async def _facts(ports: Ports, spec: Mapping[str, Any]) -> AdmissionFacts:
    model = str(spec.get("model"))
    slots = await ports.platform.slots()
    active: list[ActiveExperiment] = []
    if model in slots:
        page = await ports.queries.list_experiments(model=model, active=True, limit=_MOST_ACTIVE)
        for record in page.items:
            arms = cast("list[Mapping[str, Any]]", record.spec.get("arms", []))
            active.append(ActiveExperiment(name=record.name, arms=tuple(str(arm.get("slot")) for arm in arms)))
    measured = await _measured(ports, model, spec) if model in slots else None
    return AdmissionFacts(slots=slots, active=active, measured=measured)


async def _measured(ports: Ports, model: str, spec: Mapping[str, Any]) -> DailyUnits | None:
    """Measure the model's traffic as the controller does, if the experiment does not say what it expects."""
    if not wants_measuring(spec):
        return None
    try:
        return await ports.meter.measure(model, by_user=is_by_user(spec), now=ports.clock())
    except UnavailableError as error:
        detail = "spec.expectedUnitsPerDay is missing, and the model's traffic cannot be measured now"
        raise unavailable(detail) from error


async def _make(ports: Ports, name: str, manifest: Mapping[str, Any], request_digest: str) -> Mapping[str, Any]:
    try:
        return await ports.tests.create(manifest)
    except ConflictError:
        existing = await ports.tests.get(name)
        metadata: Mapping[str, Any] = (existing or {}).get("metadata", {})
        annotations = cast("Mapping[str, str]", metadata.get("annotations") or {})
        if existing is not None and request_digest and annotations.get(REQUEST_ANNOTATION) == request_digest:
            return existing
        detail = f"name={name!r}: there is an ABTest of that name; allowed is a new name"
        raise ProblemError(409, "exists", detail, errors=[FieldError(pointer="/name", detail=detail)]) from None
    except ApiError as error:
        if error.status in (400, 422):
            raise invalid("the API server refuses the object", _causes(error)) from error
        raise unavailable("the Kubernetes API does not take the object") from error


def _causes(error: ApiError) -> list[FieldError]:
    """Return what the API server found wrong, as far as it says where."""
    details = cast("Mapping[str, Any]", error.document.get("details") or {})
    found: list[FieldError] = []
    for cause in cast("list[Mapping[str, Any]]", details.get("causes") or []):
        path = str(cause.get("field", "")).replace("[", ".").replace("]", "")
        pointer = "".join(f"/{part}" for part in path.split(".") if part)
        found.append(FieldError(pointer=pointer, detail=f"{cause.get('field', '')}: {cause.get('message', '')}"))
    return found or [FieldError(pointer="/spec", detail=str(error.document.get("message") or error)[:1000])]


def _plan_view(plan: AdmissionPlan) -> PlanView:
    return PlanView(
        required_per_arm=plan.required_per_arm,
        planned_per_arm=plan.planned_per_arm,
        minimum_per_arm=plan.minimum_per_arm,
        expected_per_arm=plan.expected_per_arm,
        units_per_day=plan.units_per_day,
        units_per_day_source=plan.units_per_day_source,
        needed_seconds=plan.needed_seconds,
        duration_seconds=plan.duration_seconds,
    )
