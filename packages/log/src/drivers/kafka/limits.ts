import { engineLimits, type EngineLimits } from '../shared/limits.ts'

/**
 * How much a Kafka log takes on before it says no, and how long it waits. Topics are made so that they take data of
 * `dataBytesMax`; `examine` says which do not.
 */
export interface KafkaLogLimits extends EngineLimits {
  /** How many bytes one fetch asks for. What it brings beyond the limit of a read is kept for the next one. */
  readonly fetchBytesMax: number
  /** How many bytes of fetched records stay in memory, roughly counted, for whoever reads on or reads the same. */
  readonly recentBytesMax: number
  /**
   * How long a broker holds the question whether there is something new, milliseconds. Hints are hardly ever later than
   * this.
   */
  readonly watchMs: number
  /**
   * The right to write is renewed when it is this old, milliseconds, well before Kafka forgets whose it was
   * (`transactional.id.expiration.ms`).
   */
  readonly claimMs: number
}

export const defaultLimits: KafkaLogLimits = {
  ...engineLimits,
  fetchBytesMax: 1024 * 1024,
  recentBytesMax: 16 * 1024 * 1024,
  callMs: 10_000,
  watchMs: 500,
  claimMs: 12 * 60 * 60 * 1000,
}

/** What a record may take besides its data: key, id, cause, trace and what frames them. */
export const besidesBytesMax = 64 * 1024

/**
 * Records of one partition travel in batches of about this size. A batch is what `max.message.bytes` of a topic bounds.
 */
export function batchBytesMaxOf(limits: KafkaLogLimits): number {
  return Math.max(1024 * 1024, limits.dataBytesMax + besidesBytesMax)
}
