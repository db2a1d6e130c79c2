-- create the tables of a shop
--
-- Revision ID: 031c6873c258
-- Revises:
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-02 09:00:00+00

-- migrate:up
CREATE TABLE accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TYPE order_status AS ENUM ('open', 'paid', 'shipped', 'cancelled');

CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL,
    status order_status NOT NULL DEFAULT 'open',
    total_cents integer NOT NULL,
    note text
);

-- migrate:ignore unindexed-foreign-key: there are few coupons
CREATE TABLE coupons (
    code text PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts
);

CREATE TABLE events (
    at timestamptz NOT NULL,
    kind text NOT NULL
) PARTITION BY RANGE (at);

CREATE TABLE events_2024 PARTITION OF events
    FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2025-01-01 00:00:00+00');
CREATE TABLE events_2025 PARTITION OF events
    FOR VALUES FROM ('2025-01-01 00:00:00+00') TO ('2026-01-01 00:00:00+00');
CREATE TABLE events_2026 PARTITION OF events
    FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2027-01-01 00:00:00+00');

-- migrate:down
DROP TABLE events;
DROP TABLE coupons;
DROP TABLE orders;
DROP TYPE order_status;
DROP TABLE accounts;
