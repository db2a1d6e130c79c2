BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
SELECT plan(9);

-- of the migrations: one line a test, and one a revision
SELECT * FROM migrate.test_single_head_revision();
SELECT * FROM migrate.test_upgrade();
SELECT * FROM migrate.test_up_down_consistency();
SELECT * FROM migrate.test_model_definitions_match_ddl();
SELECT * FROM migrate.test_downgrade_leaves_no_trace();

-- of one's own
SELECT has_index('orders', 'orders_customer', 'orders of a customer are found by an index');

SELECT * FROM finish();
ROLLBACK;
