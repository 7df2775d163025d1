import { z } from 'zod'
import { query, type BoundOperation } from '../../contract/operation.ts'

// What runtimes of one system ask each other about a service: operations that every service has, beside those of its
// contract. A process of an older version does not know them all, so whoever asks must be able to do without an answer.

/** Answered with nothing, at the position that the service has got to. */
const STANDING = '@standing' // no operation of a contract is called so
/**
 * Answered with how many events of each type the service has emitted; with null while it cannot tell, because its store
 * is older than the log.
 */
const EMITTED = '@emitted'

/** What is asked. */
export type Question = typeof STANDING | typeof EMITTED

const questions: Readonly<Record<Question, z.ZodType>> = {
  [STANDING]: z.void(),
  [EMITTED]: z.record(z.string(), z.number()).nullable(),
}

/** The operations by which a service is asked. */
export function questionsOf(service: string): BoundOperation[] {
  return Object.entries(questions).map(([question, output]) => ({
    ...query({ input: z.object({}), output, consistency: 'eventual' }),
    name: `${service}.${question}`,
    contract: service,
    remakesInput: true,
    outputTrust: 'as it is',
    keepsAnswers: false,
  }))
}

/** What an operation asks; undefined for one of a contract. */
export function questionOf(operation: string): Question | undefined {
  const asked = operation.slice(operation.lastIndexOf('.') + 1)
  return asked === STANDING || asked === EMITTED ? asked : undefined
}
