import {
  DiscardPolicy,
  JetStreamApiCodes,
  RetentionPolicy,
  StorageType,
  type ApiError,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream'
import { Refused, Unanswered } from './errors.ts'
import { decodeChunk, type Chunk } from './format.ts'
import type { NatsLogLimits } from './limits.ts'
import type { Names } from './names.ts'
import type { Session } from './session.ts'

/** What is asked of a stream's leader, which knows best; slower than what any replica may answer. */
export class Streams {
  readonly #names: Names
  readonly #replicas: number
  readonly #callMs: number

  constructor(names: Names, replicas: number, { callMs }: Pick<NatsLogLimits, 'callMs'>) {
    this.#names = names
    this.#replicas = replicas
    this.#callMs = callMs
  }

  /** The stream of a source, made if it is not there. One that is there stays as it is, whatever its settings. */
  async findOrCreate(session: Session, source: string): Promise<StreamInfo> {
    const found = await this.find(session, source)
    if (found) return found
    try {
      return await this.#ask<StreamInfo>(session, `STREAM.CREATE.${this.#names.stream(source)}`, this.#settings(source))
    } catch (error) {
      if (!(error instanceof Refused && error.code === nameInUse)) throw error
      const other = await this.find(session, source) // somebody else was quicker, with other settings
      if (other) return other
      throw error
    }
  }

  async find(session: Session, source: string, question: object = {}): Promise<StreamInfo | undefined> {
    try {
      return await this.#ask<StreamInfo>(session, `STREAM.INFO.${this.#names.stream(source)}`, question)
    } catch (error) {
      if (error instanceof Refused && error.code === JetStreamApiCodes.StreamNotFound) return undefined
      throw error
    }
  }

  /** The stream of a source with the number of messages of each subject. */
  findWithCounts(session: Session, source: string): Promise<StreamInfo | undefined> {
    return this.find(session, source, { subjects_filter: this.#names.subjects(source) })
  }

  /** The last message of a partition. */
  last(session: Session, source: string, partition: number): Promise<Chunk | undefined> {
    return this.#get(session, source, partition, { last_by_subj: this.#names.subject(source, partition) })
  }

  /** The first message of a partition from a place in the stream on. */
  next(session: Session, source: string, partition: number, seq: number): Promise<Chunk | undefined> {
    return this.#get(session, source, partition, { seq, next_by_subj: this.#names.subject(source, partition) })
  }

  /** Every stream of this system. */
  async list(session: Session): Promise<StreamInfo[]> {
    const found: StreamInfo[] = []
    for (;;) {
      const page = await this.#ask<{ streams?: StreamInfo[]; total: number }>(session, 'STREAM.LIST', {
        subject: this.#names.allSubjects,
        offset: found.length,
      })
      found.push(...(page.streams ?? []))
      if (!page.streams?.length || found.length >= page.total) return found
    }
  }

  /**
   * Nothing is dropped, nobody deletes single messages, and nothing is forgotten but on purpose: by setting a limit, or
   * by deleting the stream.
   */
  #settings(source: string): Partial<StreamConfig> {
    return {
      name: this.#names.stream(source),
      subjects: [this.#names.subjects(source)],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.New, // a limit that is set later refuses what is new, and drops nothing that is old
      num_replicas: this.#replicas,
      max_age: 0,
      max_bytes: -1,
      max_msgs: -1,
      max_msgs_per_subject: -1,
      deny_delete: true,
      deny_purge: true,
      allow_direct: true,
      allow_atomic: true,
    }
  }

  async #get(session: Session, source: string, partition: number, query: object): Promise<Chunk | undefined> {
    try {
      const { message } = await this.#ask<{ message: { seq: number; data?: string } }>(
        session,
        `STREAM.MSG.GET.${this.#names.stream(source)}`,
        query,
      )
      return decodeChunk(source, partition, Buffer.from(message.data ?? '', 'base64'), message.seq)
    } catch (error) {
      if (error instanceof Refused && isAbsence.has(error.code)) return undefined
      throw error
    }
  }

  /**
   * Asks again until `callMs` are over: in a cluster, what comes while there is no leader is never answered. Nothing
   * here does harm twice.
   */
  async #ask<Answer>(session: Session, what: string, question: object): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#askOnce(session, what, question)
      } catch (error) {
        if (!(error instanceof Unanswered) || tries === triesMax) throw error
      }
    }
  }

  async #askOnce<Answer>(session: Session, what: string, question: object): Promise<Answer> {
    const { data } = await session.request(
      `$JS.API.${what}`,
      JSON.stringify(question),
      undefined,
      this.#callMs / triesMax,
    )
    const answer = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8')) as Answer & {
      error?: ApiError
    } // as the server documents it
    if (answer.error) throw new Refused(answer.error)
    return answer
  }
}

const triesMax = 5
const nameInUse = 10058
const isAbsence: ReadonlySet<number> = new Set([JetStreamApiCodes.NoMessageFound, JetStreamApiCodes.StreamNotFound])
