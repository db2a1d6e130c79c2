-- add reviews
--
-- Revision ID: c47d18e5a920
-- Revises: 6b0e9d217c58
-- Depends On:
-- Branch Labels: reviews
-- Create Date: 2026-02-02 10:15:00+00

-- migrate:up
-- A branch of its own: SELECT migrate.upgrade('c47d18e5a920') applies it and
-- leaves the other branch alone.
CREATE TABLE reviews (
    product_id bigint NOT NULL REFERENCES products ON DELETE CASCADE,
    customer_id bigint NOT NULL REFERENCES customers,
    stars smallint NOT NULL CHECK (stars BETWEEN 1 AND 5),
    body text NOT NULL DEFAULT '',
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (product_id, customer_id)
);

CREATE VIEW product_ratings AS
    SELECT product_id, count(*) AS reviews, round(avg(stars), 1) AS stars
    FROM reviews
    GROUP BY product_id;

-- migrate:down
DROP VIEW product_ratings;
DROP TABLE reviews;
