-- keep stock
--
-- Revision ID: 93f5a6b204de
-- Revises: 6b0e9d217c58
-- Depends On:
-- Branch Labels:
-- Create Date: 2026-02-03 16:40:00+00

-- migrate:up
ALTER TABLE products ADD COLUMN stock integer NOT NULL DEFAULT 0 CHECK (stock >= 0);

-- Whoever orders something takes it from the stock.
CREATE FUNCTION take_from_stock() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE products SET stock = stock - NEW.quantity WHERE id = NEW.product_id;
    RETURN NEW;
END;
$$;

CREATE TRIGGER order_items_take_from_stock
    AFTER INSERT ON order_items
    FOR EACH ROW EXECUTE FUNCTION take_from_stock();

-- migrate:down
DROP TRIGGER order_items_take_from_stock ON order_items;
DROP FUNCTION take_from_stock();
ALTER TABLE products DROP COLUMN stock;
