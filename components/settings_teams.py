"""The settings of the teams that share a platform; `components.settings` reads them as its list `teams`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from components._quota import Quota
from components._rules import listing, own_namespace, text
from components._schema import schema, section, setting

# Two at least: the registry takes no shorter name of a workspace.
_team_name = text(
    r"[a-z][a-z0-9-]{0,18}[a-z0-9]", "a team name: 2 to 20 of a-z, 0-9 and inner hyphens, first a letter", max_length=20
)
_group = text(
    r"(?!system:)\S(.*\S)?", "the name of a group as the cluster's identity provider says it, not one of `system:`"
)
_label_value = text(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "a label value", max_length=63)


@schema
class TeamSettings:
    """People who work on the platform side by side with others, in a namespace of their own."""

    name: str = setting(_team_name)
    """Also the name of its workspace in the registry; `team-NAME` is its bucket."""
    groups: tuple[str, ...] = setting(listing(_group, minimum=1, maximum=10))
    """Whose members may work in the namespace."""
    cost_center: str = setting(_label_value)
    quota: Quota = setting(section(Quota, Quota()), default=Quota())
    own_namespace: str | None = setting(own_namespace, default=None)
    """None takes `team-NAME`."""

    @property
    def namespace(self) -> str:
        """Name of the team's namespace."""
        return self.own_namespace or f"team-{self.name}"

    @property
    def consumer(self) -> str:
        """Who the team is to the object store."""
        return f"team-{self.name}"


def team_conflicts(teams: Sequence[TeamSettings], taken: Mapping[str, str], *, gpus: bool) -> Iterator[str]:
    """Yield what is allowed in the list of teams, for everything in which it does not fit together.

    Args:
        teams: all of them.
        taken: namespaces that others use, with the setting that says so.
        gpus: whether the cluster can have GPUs.
    """
    if repeated := _repeated(team.name for team in teams):
        yield f"a list in which every name occurs once; {', '.join(repeated)} does not"
    if repeated := _repeated(group for team in teams for group in team.groups):
        yield f"a list in which every group belongs to one team; {', '.join(repeated)} does not"
    if repeated := _repeated(team.namespace for team in teams):
        yield f"a list in which every team has a namespace to itself; {', '.join(repeated)} is shared"
    for team in teams:
        if owner := taken.get(team.namespace):
            yield f"another namespace for {team.name} than {team.namespace}, which is that of {owner}"
    if greedy := [team.name for team in teams if team.quota.gpus and not gpus]:
        yield f"no GPUs for {', '.join(greedy)}, unless `aws.gpuPools` has a pool"


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
