"""`rules delete`: a rule less."""

from consumer.cli_rules.opening import no_such_rule, open_store, told_errors
from consumer.cli_rules.options import AsJson, DryRun, RuleArgument, TenantArgument
from consumer.cli_rules.telling import print_changes
from schemas.vocabulary import RuleId, TenantId


def delete(
    tenant: TenantArgument, rule: RuleArgument, *, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Delete one rule; the tenant's others, its users and bank accounts stay.

    Example: push-services rules delete m-10482 r-rejected
    """
    with told_errors():
        with open_store() as store:
            changes = store.delete_rule(TenantId(tenant), RuleId(rule), dry_run=dry_run)
        if not changes:
            raise no_such_rule(tenant, rule)
        print_changes(changes, as_json=as_json, dry_run=dry_run)
