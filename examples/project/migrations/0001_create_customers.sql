-- create customers
--
-- Revision ID: 0001
-- Revises:
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-11-02 09:00:00+00

-- migrate:up
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- migrate:down
DROP TABLE customers;
