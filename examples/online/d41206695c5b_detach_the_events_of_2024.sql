-- detach the events of 2024
--
-- Revision ID: d41206695c5b
-- Revises: 93b5f8128a92
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-20 09:00:00+00

-- migrate:up transaction:false
-- PostgreSQL 14 and later. A plain DETACH stops everybody who uses the table.
ALTER TABLE events DETACH PARTITION events_2024 CONCURRENTLY;

-- migrate:down
-- Before PostgreSQL 19, DETACH has left a constraint that says what the partition
-- holds. So attaching does not read it.
ALTER TABLE events ATTACH PARTITION events_2024
    FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2025-01-01 00:00:00+00');
ALTER TABLE events_2024 DROP CONSTRAINT IF EXISTS events_2024_at_check;
