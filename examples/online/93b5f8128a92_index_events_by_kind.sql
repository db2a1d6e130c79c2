-- index events by kind
--
-- Revision ID: 93b5f8128a92
-- Revises: 0a9baff4928f
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-19 09:00:00+00

-- migrate:up transaction:false
-- A partitioned table's index cannot be built concurrently, its partitions'
-- can: the last one attached makes it valid.
CREATE INDEX events_kind_idx ON ONLY events (kind);

CREATE INDEX CONCURRENTLY events_2024_kind_idx ON events_2024 (kind);
ALTER INDEX events_kind_idx ATTACH PARTITION events_2024_kind_idx;

CREATE INDEX CONCURRENTLY events_2025_kind_idx ON events_2025 (kind);
ALTER INDEX events_kind_idx ATTACH PARTITION events_2025_kind_idx;

CREATE INDEX CONCURRENTLY events_2026_kind_idx ON events_2026 (kind);
ALTER INDEX events_kind_idx ATTACH PARTITION events_2026_kind_idx;

-- migrate:down
DROP INDEX events_kind_idx;
