-- create orders
--
-- Revision ID: 0002
-- Revises: 0001
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-11-03 09:00:00+00

-- migrate:up
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer bigint NOT NULL REFERENCES customers,
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'paid', 'sent'))
);
CREATE INDEX orders_customer ON orders (customer);

-- migrate:down
DROP TABLE orders;
