import { AtollError } from '@atoll/host'
import { quoteIdentifier } from './quote.ts'
import type { Pool } from './pool.ts'
import type { Session } from './session.ts'

/** What {@link listen} started. */
export interface Listening {
  /** Ends it; nothing is told after that. Idempotent. */
  close(): void
}

/**
 * How long to wait before the next try to connect: the first wait, and the longest. Each is twice the one before, with
 * jitter.
 */
const retryMs = { first: 200, max: 10_000 }
/** How often a listener that hears nothing asks whether the server is there. */
const pingMs = 10_000

/**
 * Tells what others NOTIFY on a channel, over a connection of its own, which is opened again whenever it is lost.
 * Hints, no more: what is notified while there is no connection is never heard. `onOpen` is called each time there is
 * one, for whoever wants to look what was missed.
 */
export function listen(
  pool: Pool,
  channel: string,
  onNotify: (payload: string) => void,
  onOpen: () => void = () => {},
): Listening {
  const { host } = pool
  const sql = `LISTEN ${quoteIdentifier(channel)}`
  let session: Session | undefined
  let closed = false
  let timer = { cancel(): void {} }
  let failures = 0

  async function open(): Promise<void> {
    try {
      const opened = await pool.connect()
      if (closed) return opened.destroy(ended())
      session = opened
      opened.raw.on('notification', ({ payload }) => {
        if (!closed) onNotify(payload ?? '')
      })
      opened.raw.once('end', () => again())
      await opened.query(sql)
      failures = 0
      if (closed) return
      ping(opened)
      onOpen()
    } catch {
      if (session) session.destroy(ended()) // and `end` comes, which tries again
      else again()
    }
  }

  function again(): void {
    session = undefined
    timer.cancel()
    if (closed) return
    const waitMs = Math.min(retryMs.first * 2 ** failures++, retryMs.max)
    timer = host.after(waitMs * (0.5 + host.random() / 2), () => void open())
  }

  /**
   * A server that is gone without a word keeps the connection looking healthy; a question that is not answered destroys
   * it.
   */
  function ping(opened: Session): void {
    timer = host.after(pingMs, () => {
      opened.query('SELECT').then(
        () => {
          if (session === opened && !closed) ping(opened)
        },
        () => {}, // `end` has come, or comes
      )
    })
  }

  void open()
  return {
    close() {
      closed = true
      timer.cancel()
      session?.destroy(ended())
    },
  }
}

function ended(): AtollError {
  return new AtollError('UNAVAILABLE', 'the listener was ended')
}
