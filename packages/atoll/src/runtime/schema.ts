import type { Migrations } from '@atoll/store/driver'

/**
 * The tables that the runtime keeps in every store, beside the service's own: what lets state, events, timers and "this
 * input is handled" commit together. Migrations never change after release; a change is a new one.
 */
export const runtimeMigrations: Migrations = {
  'atoll-0001-runtime': `
    -- Events that committed and may not be in the log yet. seq is the order of commits and is never used twice.
    CREATE TABLE atoll_outbox (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      partition INTEGER NOT NULL,
      id TEXT NOT NULL,
      type TEXT NOT NULL,
      version INTEGER NOT NULL,
      key TEXT NOT NULL,
      at INTEGER NOT NULL,
      data TEXT NOT NULL,
      trace TEXT NOT NULL,
      cause TEXT NOT NULL
    ) STRICT;

    -- The last number that the relay gave in each partition, and to which seq; and how many events of each type it handed to the log.
    CREATE TABLE atoll_streams (partition INTEGER PRIMARY KEY, number INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT;
    CREATE TABLE atoll_published (type TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;

    -- Where each subscription stands. type is '' for the cursor itself (until: 0). Else the row backfills one event that the
    -- subscription began to handle later, up to the number in until; or, with until 0, notes where it stood when it ceased to
    -- handle that event, should it begin again. ahead: numbers beyond the cursor that are handled already.
    CREATE TABLE atoll_cursors (
      subscription TEXT NOT NULL,
      source TEXT NOT NULL,
      partition INTEGER NOT NULL,
      type TEXT NOT NULL,
      number INTEGER NOT NULL,
      "order" TEXT NOT NULL,
      "offset" TEXT,
      ahead TEXT NOT NULL,
      until INTEGER NOT NULL,
      epoch INTEGER NOT NULL,
      PRIMARY KEY (subscription, source, partition, type, until)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE atoll_subscribed (
      subscription TEXT NOT NULL,
      partition INTEGER NOT NULL,
      type TEXT NOT NULL,
      source TEXT NOT NULL,
      PRIMARY KEY (subscription, partition, type)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE atoll_handled (
      subscription TEXT NOT NULL,
      partition INTEGER NOT NULL,
      type TEXT NOT NULL,
      count INTEGER NOT NULL,
      PRIMARY KEY (subscription, partition, type)
    ) STRICT, WITHOUT ROWID;

    -- Events that wait: for another try (retrying), behind one of their key (parked), or for somebody to help (dead).
    CREATE TABLE atoll_held (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      subscription TEXT NOT NULL,
      partition INTEGER NOT NULL,
      key TEXT NOT NULL,
      state TEXT NOT NULL,
      attempts INTEGER NOT NULL,
      due_at INTEGER NOT NULL,
      changed_at INTEGER NOT NULL,
      error_code TEXT NOT NULL,
      error_message TEXT NOT NULL,
      error_stack TEXT NOT NULL,
      source TEXT NOT NULL,
      number INTEGER NOT NULL,
      "order" TEXT NOT NULL,
      id TEXT NOT NULL,
      type TEXT NOT NULL,
      version INTEGER NOT NULL,
      at INTEGER NOT NULL,
      data TEXT NOT NULL,
      trace TEXT NOT NULL,
      cause TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX atoll_held_event ON atoll_held (subscription, source, partition, number);
    CREATE INDEX atoll_held_key ON atoll_held (subscription, partition, key, seq);

    -- Which instance owns a partition of a subscription. The epoch rises with each owner and fences the one before.
    CREATE TABLE atoll_leases (
      subscription TEXT NOT NULL,
      partition INTEGER NOT NULL,
      owner TEXT NOT NULL,
      epoch INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      PRIMARY KEY (subscription, partition)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE atoll_instances (
      subscription TEXT NOT NULL,
      instance TEXT NOT NULL,
      expires_at INTEGER NOT NULL,
      PRIMARY KEY (subscription, instance)
    ) STRICT, WITHOUT ROWID;

    -- Events to be emitted later.
    CREATE TABLE atoll_timers (
      id TEXT PRIMARY KEY,
      due_at INTEGER NOT NULL,
      partition INTEGER NOT NULL,
      type TEXT NOT NULL,
      version INTEGER NOT NULL,
      key TEXT NOT NULL,
      data TEXT NOT NULL,
      trace TEXT NOT NULL,
      cause TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX atoll_timers_due ON atoll_timers (due_at);

    -- What commands with an Idempotency-Key answered.
    CREATE TABLE atoll_answers (
      operation TEXT NOT NULL,
      caller TEXT NOT NULL,
      key TEXT NOT NULL,
      input_digest TEXT NOT NULL,
      output TEXT,
      position TEXT NOT NULL,
      at INTEGER NOT NULL,
      PRIMARY KEY (operation, caller, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX atoll_answers_at ON atoll_answers (at);

    -- Which generation of each projection is the live one.
    CREATE TABLE atoll_projections (name TEXT PRIMARY KEY, generation INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  `,
  'atoll-0002-attempts': `
    -- How often in a row an owner of a partition ended without giving it up, while the same events may have been in hand.
    CREATE TABLE atoll_ends (subscription TEXT NOT NULL, partition INTEGER NOT NULL, ends INTEGER NOT NULL, PRIMARY KEY (subscription, partition)) STRICT, WITHOUT ROWID;

    -- Tries that began after such ends and are not settled. One that the next owner finds was cut off by the end of its process.
    CREATE TABLE atoll_tries (
      subscription TEXT NOT NULL,
      partition INTEGER NOT NULL,
      source TEXT NOT NULL,
      number INTEGER NOT NULL,
      attempt INTEGER NOT NULL,
      PRIMARY KEY (subscription, partition, source, number)
    ) STRICT, WITHOUT ROWID;
  `,
  'atoll-0003-histories': `
    -- Which record a cursor stands at, and the place before it, from where that record is read again at each open; which one a stream ends
    -- with. A log that has another record there is of another history. NULL: not known yet.
    ALTER TABLE atoll_cursors ADD COLUMN id TEXT;
    ALTER TABLE atoll_cursors ADD COLUMN previous_offset TEXT;
    ALTER TABLE atoll_streams ADD COLUMN id TEXT;
  `,
  'atoll-0004-answers': `
    -- What a replayed answer says of its version is what was said the first time.
    ALTER TABLE atoll_answers ADD COLUMN etag TEXT;
  `,
  'atoll-0005-discarded': `
    -- Dead letters that somebody ended, as they were: when, who and why.
    CREATE TABLE atoll_discarded (
      subscription TEXT NOT NULL,
      source TEXT NOT NULL,
      partition INTEGER NOT NULL,
      number INTEGER NOT NULL,
      discarded_at INTEGER NOT NULL,
      discarded_by TEXT NOT NULL,
      reason TEXT NOT NULL,
      key TEXT NOT NULL,
      attempts INTEGER NOT NULL,
      changed_at INTEGER NOT NULL,
      error_code TEXT NOT NULL,
      error_message TEXT NOT NULL,
      error_stack TEXT NOT NULL,
      "order" TEXT NOT NULL,
      id TEXT NOT NULL,
      type TEXT NOT NULL,
      version INTEGER NOT NULL,
      at INTEGER NOT NULL,
      data TEXT NOT NULL,
      trace TEXT NOT NULL,
      cause TEXT NOT NULL,
      PRIMARY KEY (subscription, source, partition, number)
    ) STRICT;
  `,
  'atoll-0005-discarded-counts': `
    -- How many discarded letters are not kept any more: the ledger still counts them.
    CREATE TABLE atoll_discarded_counts (
      subscription TEXT NOT NULL,
      source TEXT NOT NULL,
      type TEXT NOT NULL,
      count INTEGER NOT NULL,
      PRIMARY KEY (subscription, source, type)
    ) STRICT, WITHOUT ROWID;
  `,
  'atoll-0005-timer-delays': `
    -- The delay that a timer was set with: it is never further away than that. NULL if it was set for a time, or by earlier code.
    ALTER TABLE atoll_timers ADD COLUMN delay_ms INTEGER;
  `,
  'atoll-0006-passed': `
    -- Subscriptions that have handled more of this service than it knows, and whose numbers could not be used up: how many it had given when that was
    -- seen first. What it has emitted since then has numbers that they have passed.
    CREATE TABLE atoll_passed (subscription TEXT NOT NULL, partition INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (subscription, partition)) STRICT, WITHOUT ROWID;
  `,
  'atoll-0007-discarded-age': `
    -- Discarded letters are listed and let go from the oldest on.
    CREATE INDEX atoll_discarded_age ON atoll_discarded (subscription, discarded_at, source, partition, number);

    -- Which events of a projection are kept no more, and were discarded: a replay that cannot handle them either discards them again.
    CREATE TABLE atoll_discarded_numbers (
      subscription TEXT NOT NULL,
      source TEXT NOT NULL,
      partition INTEGER NOT NULL,
      number INTEGER NOT NULL,
      PRIMARY KEY (subscription, source, partition, number)
    ) STRICT, WITHOUT ROWID;
  `,
}
