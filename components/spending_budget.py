"""What a stack may cost a month, and who is told before it does.

Costs are found by the tag `stack`; until somebody makes it a cost allocation tag in the account's billing, AWS sees
none.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components._aws import AwsScope
from components._base import PlatformComponent

_LATE_PERCENT = 80
_FULL_PERCENT = 100


@dataclass(frozen=True, kw_only=True)
class SpendingBudgetArgs:
    """How much, and who is told."""

    scope: AwsScope
    monthly_usd: int
    mails: tuple[str, ...]


class SpendingBudget(PlatformComponent):
    """A budget of one month that mails when it is nearly used, and when it is going to be exceeded."""

    def __init__(self, name: str, args: SpendingBudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        budget = aws.budgets.Budget(
            name,
            name=args.scope.named("monthly"),
            budget_type="COST",
            limit_amount=str(args.monthly_usd),
            limit_unit="USD",
            time_unit="MONTHLY",
            cost_filters=[
                aws.budgets.BudgetCostFilterArgs(name="TagKeyValue", values=[f"user:stack${args.scope.name}"])
            ],
            notifications=[
                _notification("ACTUAL", _LATE_PERCENT, args.mails),
                _notification("FORECASTED", _FULL_PERCENT, args.mails),
            ],
            tags=args.scope.tagged(args.scope.named("monthly")),
            opts=self.child(),
        )
        self.finish(budget=budget.name)


def _notification(kind: str, percent: int, mails: tuple[str, ...]) -> aws.budgets.BudgetNotificationArgs:
    return aws.budgets.BudgetNotificationArgs(
        comparison_operator="GREATER_THAN",
        notification_type=kind,
        threshold=percent,
        threshold_type="PERCENTAGE",
        subscriber_email_addresses=list(mails),
    )
