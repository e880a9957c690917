-- Who may do what with the tables of push-services in PostgreSQL. Run it as the owner of the tables, who
-- must be allowed to create roles, or as a superuser, after each `push-services db upgrade`:
--
--   psql --set=ON_ERROR_STOP=1 --file=deploy/sql/roles.sql "$PUSH_DATABASE_URL"
--
-- Three roles without a login. Give them to the logins of your services, one each:
--
--   GRANT push_worker TO run_login;      push-services run, explain, rules list
--   GRANT push_admin TO admin_login;     the admin service; push-services rules apply
--   GRANT push_delivery TO mail_login;   push-services deliver
--
-- Only the owner changes tables, triggers, counter and history. An owner's login belongs to
-- `db upgrade` alone. Run again, the script ends with the same rights, however they were changed.

BEGIN;

DO $$
DECLARE
    rules constant text[] := ARRAY[
        'push_tenants', 'push_users', 'push_bank_accounts', 'push_rules', 'push_rule_statuses',
        'push_rule_accounts', 'push_rule_internal_recipients', 'push_rule_external_recipients'];
    -- written by triggers, which have their owner's rights
    kept constant text[] := ARRAY[
        'push_rules_generation', 'push_history', 'push_tenants_history', 'push_users_history',
        'push_bank_accounts_history', 'push_rules_history', 'push_rule_statuses_history',
        'push_rule_accounts_history', 'push_rule_internal_recipients_history',
        'push_rule_external_recipients_history'];
    -- may lie in another database: what is not here is passed over
    ledger constant text[] := ARRAY['push_deliveries', 'push_suppressions'];
    -- `db check` asks both, whoever starts
    versions constant text[] := ARRAY['push_alembic_version', 'push_ledger_alembic_version'];
    not_theirs constant text[] := ARRAY['push_rules_changes'];
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['push_worker', 'push_admin', 'push_delivery'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), name);
        EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM %I', current_schema(), name);
    END LOOP;
    FOREACH name IN ARRAY rules || kept || ledger || versions || not_theirs LOOP
        CONTINUE WHEN to_regclass(name) IS NULL;
        EXECUTE format('REVOKE ALL ON %I FROM push_worker, push_admin, push_delivery', name);
        IF name = ANY (rules || kept) THEN
            EXECUTE format('GRANT SELECT ON %I TO push_worker, push_admin', name);
        END IF;
        IF name = ANY (rules) THEN
            EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %I TO push_admin', name);
        END IF;
        IF name = ANY (ledger) THEN
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO push_delivery', name);
        END IF;
        IF name = ANY (versions) THEN
            EXECUTE format('GRANT SELECT ON %I TO push_worker, push_admin, push_delivery', name);
        END IF;
    END LOOP;
END
$$;

COMMIT;
