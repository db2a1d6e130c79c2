-- orders can be drafts
--
-- Revision ID: a4747f8f9e7e
-- Revises: cf1cff8d6799
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-03-11 09:00:00+00

-- migrate:up
-- The transaction that adds a value cannot use it: the next revision does.
ALTER TYPE order_status ADD VALUE IF NOT EXISTS 'draft' BEFORE 'open';

-- migrate:down
-- A value cannot be removed from a type. It does no harm; IF NOT EXISTS above
-- is for the way up again.
