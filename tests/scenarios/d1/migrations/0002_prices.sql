-- prices came later
ALTER TABLE items ADD COLUMN price INTEGER;
