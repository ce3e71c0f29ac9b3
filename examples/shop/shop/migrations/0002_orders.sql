CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    placed TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    cents INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'placed' CHECK (status IN ('placed', 'confirmed'))
);
CREATE TABLE order_items (
    order_id TEXT NOT NULL REFERENCES orders,
    article TEXT NOT NULL REFERENCES articles,
    count INTEGER NOT NULL CHECK (count > 0),
    PRIMARY KEY (order_id, article)
);
