SELECT * FROM t ORDER BY b, c LIMIT 7 OFFSET 3
SELECT a, count(*), sum(c), avg(c), group_concat(b, '-'), total(id), min(b), max(c) FROM t GROUP BY a HAVING sum(c) > 50
SELECT * FROM v WHERE n > 4 ORDER BY 1, 2, 3
SELECT DISTINCT w FROM u ORDER BY w
SELECT id, a, row_number() OVER (PARTITION BY a ORDER BY c DESC), sum(c) OVER (ORDER BY id ROWS 2 PRECEDING), lag(b) OVER (ORDER BY id), ntile(3) OVER (ORDER BY id) FROM t ORDER BY id
SELECT t.id, x.id FROM t JOIN t AS x ON x.a = t.a AND x.id < t.id WHERE t.id < 12 ORDER BY 1, 2
SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE t_id = t.id AND n > 9) UNION SELECT 0 EXCEPT SELECT 5 ORDER BY 1
WITH RECURSIVE f(a, b) AS (SELECT 0, 1 UNION ALL SELECT b, a + b FROM f WHERE b < 1e6) SELECT a FROM f
UPDATE t SET a = a * 2, b = b || '!' WHERE id % 5 = 0 RETURNING id, a, b
INSERT INTO t (id, b, c) VALUES (1, 'z', 1) ON CONFLICT (id) DO UPDATE SET b = excluded.b RETURNING *
DELETE FROM t WHERE id IN (SELECT t_id FROM u WHERE n = 3) RETURNING id
SELECT count(*), sum(n) FROM u
INSERT INTO u VALUES (1, 13, '')
INSERT INTO u VALUES (9999, 1, '')
INSERT OR REPLACE INTO t SELECT id + 1, a, b, c FROM t WHERE id < 9
SELECT j.key, j.value, j.type FROM json_each('{"a": [1, 2.5, null], "b": {"c": "x"}}') AS j
SELECT json_extract('{"a": [1, {"b": 2}]}', '$.a[1].b'), json_set('{}', '$.x', json('[1]')), json_group_array(a) FROM t WHERE id < 5
SELECT date('2024-02-29', '+1 year'), strftime('%Y-%j %W', '2024-12-31'), julianday('2000-01-01'), datetime(1e9, 'unixepoch'), timediff('2024-03-01', '2023-02-01')
SELECT round(sin(1), 12), round(cos(1), 12), round(exp(1), 12), round(ln(7), 12), round(log2(7), 12), pow(2, 10), sqrt(2), round(atan2(1, 2), 12), floor(-1.5), ceil(1.2), mod(7, 3), degrees(pi())
EXPLAIN QUERY PLAN SELECT * FROM t WHERE b = 'x' AND c > 1
REINDEX
ANALYZE
ALTER TABLE u RENAME COLUMN w TO word
ALTER TABLE u DROP COLUMN word
SELECT sql FROM sqlite_schema ORDER BY name
DROP VIEW v
PRAGMA foreign_key_check
PRAGMA quick_check
CREATE TABLE strict_one (n INT, s TEXT) STRICT, WITHOUT ROWID
CREATE TABLE w (k TEXT PRIMARY KEY, n INT) WITHOUT ROWID; INSERT INTO w SELECT b, id FROM t
SELECT * FROM w WHERE k > 'B3' ORDER BY k DESC LIMIT 5
CREATE TABLE g (a, b AS (a * 2) STORED, c AS (a || b))
INSERT INTO g (a) VALUES (2), ('x') RETURNING *
