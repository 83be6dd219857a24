-- The initialisation sections that the segments of a push need. Most need none.
ALTER TABLE pushes ADD COLUMN sections text;
