"""What is known of an experiment at this moment, put together from the projections."""

from __future__ import annotations

from ml.api.ports import Ports
from ml.events.records import ExperimentRecord
from ml.reporting.experiment.build import DecisionFacts, EpochFacts, ExperimentFacts, PointFacts, is_paused, results_of
from ml.reporting.experiment.results import ExperimentResults


async def results(ports: Ports, name: str, namespace: str | None = None) -> ExperimentResults | None:
    """Return the results of an experiment by its name or id; None if there is none.

    Raises:
        StoreUnavailableError: no answer.
    """
    record = await ports.queries.experiment(name, namespace)
    return None if record is None else await results_for(ports, record)


async def results_for(ports: Ports, record: ExperimentRecord) -> ExperimentResults:
    """Return the results of an experiment whose record was read already.

    Raises:
        StoreUnavailableError: no answer.
    """
    last = record.last_decision
    timeline = await ports.queries.timeline(record.id)
    epochs = await ports.queries.epochs(record.id)
    sums = await ports.outcomes.sums([record.id])
    return results_of(
        ExperimentFacts(
            id=record.id,
            name=record.name,
            namespace=record.namespace,
            model=record.model,
            phase=record.phase,
            spec=record.spec,
            specification=record.specification,
            created_at=record.created_at,
            reason=record.reason,
            message=record.message,
            by=record.by,
            started_at=record.started_at,
            ended_at=record.ended_at,
            winner=record.winner,
            paused=is_paused(await ports.queries.audit(record.id)),
            weights=record.weights,
        ),
        DecisionFacts(at=last.at, decision=last.decision) if last else None,
        [PointFacts(at=point.at, evidence=point.evidence) for point in timeline],
        [EpochFacts(at=epoch.at, weights=epoch.weights) for epoch in epochs],
        sums.get(record.id),
    )
