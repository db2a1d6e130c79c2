-- retire coupons
--
-- Revision ID: 149154ff80b7
-- Revises: 2104a07b82d1
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-17 09:00:00+00

-- migrate:up
-- Whoever still uses the table gets an error, and the way back is a moment's
-- work.
-- migrate:ignore rename: that is what it is for
ALTER TABLE coupons RENAME TO coupons_retired;

-- migrate:down
ALTER TABLE coupons_retired RENAME TO coupons;
