/** Marks a SQLite file as an Atoll log: the bytes of `AtLg`. */
export const applicationId = 0x41744c67

/** Raised when the tables change in a way that older code would misread. */
export const formatVersion = 1

/**
 * How many numbers each stream may use: 274,877,906,944. A record's place, stream × span + number, then stays below
 * 2^53 for 32,767 streams, so that it is exact as a JavaScript number.
 */
export const streamSpan = 2 ** 38
export const streamIdMax = 2 ** 15 - 1

/**
 * A stream is one partition of one source. Its records lie side by side in a plain table under one integer key, which
 * costs half of what a key of three columns does and makes a read one walk along neighbours. The view is for people
 * with a SQLite shell.
 */
export const tables = `
  CREATE TABLE IF NOT EXISTS streams (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    partition INTEGER NOT NULL,
    UNIQUE (source, partition)
  ) STRICT;

  CREATE TABLE IF NOT EXISTS records (
    place INTEGER PRIMARY KEY,
    "order" TEXT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    version INTEGER NOT NULL,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL,
    trace TEXT NOT NULL,
    cause TEXT NOT NULL
  ) STRICT;

  CREATE VIEW IF NOT EXISTS events AS
    SELECT source, partition, place % ${streamSpan} AS number, "order", records.id, type, version, key, at, data, trace, cause
    FROM records JOIN streams ON streams.id = place / ${streamSpan};
`
