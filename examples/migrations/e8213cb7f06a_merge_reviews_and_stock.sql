-- merge reviews and stock
--
-- Revision ID: e8213cb7f06a
-- Revises: c47d18e5a920, 93f5a6b204de
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-02-09 11:00:00+00

-- migrate:up

-- migrate:down
