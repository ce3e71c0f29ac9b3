SELECT abs(?), round(?, 2), sign(?), min(1, ?), max(1, ?), coalesce(?, 1), typeof(?), quote(?), hex(?)
SELECT ? + 1, ? * 2, ? - 3, ? / 7, ? % 5, -?, ? || 'x', ? = 1, ? < 5
SELECT CAST(? AS INTEGER), CAST(? AS REAL), CAST(? AS TEXT), CAST(? AS BLOB), CAST(? AS NUMERIC), ? IS NULL, ? BETWEEN 1 AND 5, ? IN (1, 2, 'a'), CASE ? WHEN 1 THEN 'one' ELSE 'other' END
SELECT upper(?), lower(?), length(?), trim(?), substr(?, 2), replace(?, 'a', 'bb'), instr(?, 'a'), ? LIKE 'a%', ? GLOB '*a*'
SELECT printf('%d %5.2f %s %x', ?, ?, ?, ?), unicode(?), char(65, 228, ?), json_quote(?), json_array(?, 1), json_object('k', ?)
