-- create customers and products
--
-- Revision ID: 1a52f0c83d47
-- Revises:
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-01-12 09:00:00+00

-- migrate:up
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX customers_email_key ON customers (lower(email));

CREATE TABLE products (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku text NOT NULL UNIQUE,
    title text NOT NULL,
    price numeric(10, 2) NOT NULL CHECK (price >= 0)
);

-- migrate:down
DROP TABLE products;
DROP TABLE customers;
