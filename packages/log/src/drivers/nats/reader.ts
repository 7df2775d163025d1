import { AtollError } from '@atoll/host'
import type { StreamInfo } from '@nats-io/jetstream'
import type { Msg } from '@nats-io/transport-node'
import type { Offset, StoredRecord, Tail } from '../../driver.ts'
import { copyOf } from '../shared/copy.ts'
import { NobodyAnswers, toAtollError } from './errors.ts'
import { decodeChunk, follows, lastOf, parseOffset, type Chunk, type Place } from './format.ts'
import type { NatsLogLimits } from './limits.ts'
import type { Names } from './names.ts'
import { RecentChunks } from './recent.ts'
import type { Session } from './session.ts'
import type { Streams } from './streams.ts'

/**
 * When the end of a partition was last seen to be the end: which it was, of which stream, and how many messages the
 * partition had.
 */
interface SeenEnd {
  readonly number: number
  readonly id: string
  readonly made: string | undefined
  readonly count: number | undefined
}

/**
 * Reads by asking any replica for the next messages of a subject: one question, many answers, and nothing on the server
 * to look after. A replica may lag behind, and a stream may have been emptied or made anew. So each message must name
 * the event before it; where one does not, or where there is nothing, the stream's leader is asked, and only its word
 * is taken for a gap.
 */
export class Reader {
  readonly #streams: Streams
  readonly #names: Names
  readonly #limits: NatsLogLimits
  readonly #recent: RecentChunks
  readonly #seenEnds = new Map<string, SeenEnd>()
  /** Questions for counts that are about to be asked, by source. */
  readonly #counting = new Map<string, Promise<StreamInfo | undefined>>()
  readonly #sources = new Set<string>()

  constructor(streams: Streams, names: Names, limits: NatsLogLimits) {
    this.#streams = streams
    this.#names = names
    this.#limits = limits
    this.#recent = new RecentChunks(limits.recentBytesMax)
  }

  async read(
    session: () => Session,
    source: string,
    partition: number,
    offset: Offset | null,
    limit: number,
  ): Promise<StoredRecord[]> {
    const after = offset === null ? null : parseOffset(offset)
    this.#sources.add(source)
    const recent = this.#take(source, partition, after, limit)
    if (recent.length > 0) return recent
    try {
      return this.#keep(source, partition, after, await this.#fetch(session(), source, partition, after, limit), limit)
    } catch (error) {
      throw toAtollError(error, `reading partition ${partition} of ${source}`)
    }
  }

  async tail(session: Session, source: string, partition: number): Promise<Tail | null> {
    try {
      const chunk = await this.#streams.last(session, source, partition)
      if (!chunk) return null
      const { number, offset, id } = lastOf(chunk)
      return { number, offset, id }
    } catch (error) {
      throw toAtollError(error, `looking for the end of partition ${partition} of ${source}`)
    }
  }

  /** What was written here need not be read from the server, if somebody here reads it. */
  offer(source: string, chunks: readonly Chunk[]): void {
    if (!this.#sources.has(source)) return
    for (const chunk of chunks) this.#recent.add(source, chunk.records[0]!.partition, chunk) // a chunk has a record
  }

  #keep(
    source: string,
    partition: number,
    after: Place | null,
    chunks: readonly Chunk[],
    count: number,
  ): StoredRecord[] {
    const found: StoredRecord[] = []
    for (const chunk of chunks) {
      this.#recent.add(source, partition, chunk)
      for (const record of chunk.records)
        if (record.number > (after?.number ?? 0) && found.length < count) found.push(copyOf(record))
    }
    return found
  }

  /** As much as there is in memory. */
  #take(source: string, partition: number, after: Place | null, count: number): StoredRecord[] {
    const found: StoredRecord[] = []
    let bytes = 0
    for (let at = after; found.length < count && bytes < this.#limits.readBytesMax;) {
      const chunk = this.#recent.find(source, partition, at)
      if (!chunk) break
      const from = (at?.number ?? 0) + 1 - chunk.records[0]!.number // a chunk has a record
      for (const record of chunk.records.slice(from, from + count - found.length)) found.push(copyOf(record))
      bytes += chunk.bytes
      const { number, id } = lastOf(chunk)
      at = { seq: chunk.seq, left: 0, number, id }
    }
    return found
  }

  async #fetch(
    session: Session,
    source: string,
    partition: number,
    after: Place | null,
    count: number,
  ): Promise<readonly Chunk[]> {
    const chunks = await this.#ask(session, source, partition, after, count)
    if (chunks.length > 0) return chunks
    if (after !== null && (await this.#isStillTheEnd(session, source, partition, after))) return []
    const chunk = await this.#askLeader(session, source, partition, after)
    return chunk ? [chunk] : []
  }

  /** Asks whichever replica answers. What does not follow, and all that comes after it, is left out. */
  async #ask(
    session: Session,
    source: string,
    partition: number,
    after: Place | null,
    count: number,
  ): Promise<Chunk[]> {
    const chunks: Chunk[] = []
    if (!session.hasBatchedGets) return chunks
    let isWhole = true
    let at: Pick<Place, 'number' | 'id'> | null = after
    const question = {
      seq: startOf(after),
      next_by_subj: this.#names.subject(source, partition),
      batch: count + 1, // the message that `after` lies in may come once more
      max_bytes: this.#limits.readBytesMax,
      no_hdr: true,
    }
    const take = (answer: Msg): boolean => {
      if (answer.headers?.code) return true // that was all; or there is nothing
      if (!isWhole) return false
      const chunk = decodeChunk(source, partition, answer.data)
      isWhole = follows(at, chunk)
      if (!isWhole) return false
      at = lastOf(chunk)
      if (at.number > (after?.number ?? 0)) chunks.push(chunk)
      return false
    }
    try {
      await session.exchange(
        `$JS.API.DIRECT.GET.${this.#names.stream(source)}`,
        JSON.stringify(question),
        undefined,
        take,
      )
    } catch (error) {
      if (!(error instanceof NobodyAnswers)) throw error // no stream, or one without direct answers
    }
    return chunks
  }

  /** Whether a partition has as many messages as when its end was seen. Cheap; the leader answers. */
  async #isStillTheEnd(session: Session, source: string, partition: number, after: Place): Promise<boolean> {
    const seen = this.#seenEnds.get(keyOf(source, partition))
    if (seen?.number !== after.number || seen.id !== after.id) return false
    const { made, count } = await this.#count(session, source, partition)
    return made !== undefined && made === seen.made && count === seen.count
  }

  /**
   * Readers of many partitions find nothing new at the same time; they share a question that is asked after they found
   * that.
   */
  async #count(session: Session, source: string, partition: number): Promise<Pick<SeenEnd, 'made' | 'count'>> {
    let counting = this.#counting.get(source)
    if (!counting) {
      counting = Promise.resolve().then(() => {
        this.#counting.delete(source)
        return this.#streams.findWithCounts(session, source)
      })
      this.#counting.set(source, counting)
    }
    const found = await counting
    return { made: found?.created, count: found?.state.subjects?.[this.#names.subject(source, partition)] }
  }

  /** What comes next, in the leader's words; undefined if nothing does yet. Rejects with LOG_GAP if it is lost. */
  async #askLeader(
    session: Session,
    source: string,
    partition: number,
    after: Place | null,
  ): Promise<Chunk | undefined> {
    // before the end is looked at: a message that comes between makes us look again
    const counted = await this.#count(session, source, partition)
    const last = await this.#streams.last(session, source, partition)
    const end = last && lastOf(last)
    if (!end && after === null) return undefined
    if (end && after && end.number === after.number && end.id === after.id) {
      this.#seenEnds.set(keyOf(source, partition), { number: after.number, id: after.id, ...counted })
      return undefined
    }
    if (end && end.number > (after?.number ?? 0)) {
      let next = await this.#streams.next(session, source, partition, startOf(after))
      // The one that `after` lies in, which may lie behind the place that it names.
      if (next && after && lastOf(next).number === after.number && follows(after, next))
        next = await this.#streams.next(session, source, partition, next.seq + 1)
      if (next && follows(after, next)) return next
      if (next && after === null)
        // a chunk has a record
        throw this.#gap(source, partition, after, `begins with number ${next.records[0]!.number}`)
    }
    throw this.#gap(
      source,
      partition,
      after,
      end ? `ends with number ${end.number}, or is another history` : 'has nothing',
    )
  }

  #gap(source: string, partition: number, after: Place | null, what: string): AtollError {
    this.#recent.forget(source)
    const stream = this.#names.stream(source)
    return new AtollError(
      'LOG_GAP',
      `partition ${partition} of ${source} has been read up to number ${after?.number ?? 0}, and in its stream '${stream}' it ${what}: records were deleted or have expired. Restore the stream`,
      {
        details: { source, partition, number: after?.number ?? 0 },
      },
    )
  }
}

/** Where in the stream to look for what comes after a place. */
function startOf(after: Place | null): number {
  if (after === null) return 1
  return after.left > 0 ? after.seq : after.seq + 1
}

function keyOf(source: string, partition: number): string {
  return `${source}/${partition}`
}
