import type { AtollError } from '@atoll/host'
import type { Problem } from './running.ts'

/** `what` is for anybody; of `error`, anybody hears the code. */
export function toProblem(what: string, error?: AtollError): Problem {
  return error
    ? { reason: `${what}: ${error.message}`, brief: `${what}: ${error.code}` }
    : { reason: what, brief: what }
}

/** A warning of readiness for anybody: what it is about, without what an engine had to say of it. */
export function inBrief(warning: string): string {
  return warning.split(': ', 1)[0]! // split answers one text at least
}
