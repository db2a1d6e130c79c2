-- Rows for the tests of migrations: what production has, in small.
SELECT migrate.set_revision_data('0002', $$
    INSERT INTO customers (name) VALUES ('Ann'), ('Bob')
$$);
SELECT migrate.set_revision_data('0003', $$
    INSERT INTO orders (customer, state) SELECT min(id), 'paid' FROM customers
$$);
