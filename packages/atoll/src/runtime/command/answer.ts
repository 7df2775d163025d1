import { AtollError } from '@atoll/host'
import type { z } from 'zod'
import { describeFlaw, lookAt } from '../../contract/json-value.ts'
import type { BoundOperation } from '../../contract/operation.ts'
import { assertAnswerSize } from './answer-size.ts'

/** An answer that may go out. */
export interface Given {
  readonly output: unknown
  /** Made if somebody has to be sent it, or it had to be copied. */
  readonly outputJson: string | undefined
  readonly etag: string | undefined
}

/** Holds answers against the operation's output schema, and makes all that goes out with them. */
export class Answer {
  readonly #operation: BoundOperation
  readonly #bytesMax: number | undefined
  /** The operation answers nothing; what its transaction returns is nobody's concern. */
  readonly isEmpty: boolean
  /** The answer that was checked last. */
  given: Given = { output: undefined, outputJson: undefined, etag: undefined }

  /** `bytesMax`: how much whoever asks takes; undefined for somebody in this process, who takes any. */
  constructor(operation: BoundOperation, bytesMax: number | undefined) {
    this.#operation = operation
    this.#bytesMax = bytesMax
    this.isEmpty = answersNothing(operation)
  }

  /**
   * Checks what a transaction returned, before it commits. Gives what is to be recorded: what it returned, if the
   * operation answers nothing.
   */
  checkInTx(result: unknown): unknown {
    if (this.isEmpty) return result
    if (result === undefined && !this.#parse(undefined).success) {
      throw new AtollError(
        'ANSWER_OUTSIDE_TX',
        `${this.#operation.name} returned nothing from its transaction. The answer is checked and recorded with the commit, so make it inside tx: return tx(async ({ db }) => { …; return answer })`,
      )
    }
    return this.check(result)
  }

  check(result: unknown): unknown {
    if (this.isEmpty) return undefined
    const parsed = this.#parse(result)
    if (!parsed.success)
      throw this.#invalid(
        `answered something that does not fit its output schema: ${parsed.error.message}`,
        parsed.error,
      )
    const carried = this.#toCarried(parsed.data)
    this.given = { ...carried, etag: this.#etagOf(carried.output) }
    return carried.output
  }

  #parse(result: unknown): z.ZodSafeParseResult<unknown> {
    try {
      return this.#operation.output.safeParse(result)
    } catch (error) {
      throw this.#invalid('answered something on which its output schema threw', error)
    }
  }

  /** As it arrives wherever the caller is, in this process or another, now or when the answer is replayed. */
  #toCarried(output: unknown): Pick<Given, 'output' | 'outputJson'> {
    const { outputTrust } = this.#operation
    if (output === undefined) return { output, outputJson: undefined }
    let isCopied = false
    if (outputTrust !== 'as it is') {
      const { flaw, hasMinusZero } = lookAt(output, outputTrust === 'looked at')
      if (flaw) throw this.#invalid(`answered what JSON cannot carry. ${describeFlaw(flaw, 'output')}`)
      isCopied = outputTrust === 'parsed again' || hasMinusZero
    }
    if (!isCopied && this.#bytesMax === undefined) return { output, outputJson: undefined }
    const outputJson = JSON.stringify(output)
    // what nobody can be sent must not have been done
    if (this.#bytesMax !== undefined) assertAnswerSize(this.#operation, outputJson, this.#bytesMax, 'none')
    return { output: isCopied ? JSON.parse(outputJson) : output, outputJson }
  }

  #etagOf(output: unknown): string | undefined {
    if (!this.#operation.etag || output === undefined) return undefined
    let version: unknown
    try {
      version = this.#operation.etag(output)
    } catch (error) {
      throw this.#invalid('could not say the version of its answer: its etag threw', error)
    }
    if (typeof version === 'string' && (version.length > ETAG_CHARS_MAX || !version.isWellFormed())) {
      throw this.#invalid(
        `could not say the version of its answer: its etag gave ${version.length > ETAG_CHARS_MAX ? `${version.length} characters, and ${ETAG_CHARS_MAX} are allowed` : 'half of a surrogate pair, which no header can carry'}`,
      )
    }
    if (typeof version === 'string' || (typeof version === 'number' && Number.isFinite(version))) return String(version)
    throw this.#invalid('could not say the version of its answer: its etag gave neither a text nor a number')
  }

  #invalid(what: string, cause?: unknown): AtollError {
    return new AtollError('ANSWER_INVALID', `${this.#operation.name} ${what}`, { cause })
  }
}

/** It goes out in a header, and comes back in another, among all that those may hold. */
const ETAG_CHARS_MAX = 200

function answersNothing(operation: BoundOperation): boolean {
  const { type } = operation.output.def
  return type === 'void' || type === 'undefined'
}
