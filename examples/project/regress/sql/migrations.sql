-- What the application relies on, at the head of the migrations.
\d customers
\d orders
INSERT INTO customers (name, email) VALUES ('Ann', 'ann@example.com');
INSERT INTO customers (name, email) VALUES ('Anna', 'ANN@example.com');
INSERT INTO orders (customer, state) SELECT id, 'lost' FROM customers;
SELECT revision, message, is_head FROM migrate.history();
