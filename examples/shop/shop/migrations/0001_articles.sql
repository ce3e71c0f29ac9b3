CREATE TABLE articles (
    name TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    cents INTEGER NOT NULL,
    stock INTEGER NOT NULL CHECK (stock >= 0)
);
INSERT INTO articles VALUES
    ('tea', 'Darjeeling, first flush', 450, 500),
    ('teapot', 'Teapot of cast iron', 2900, 3),
    ('cup', 'Cup of glass', 850, 40);
