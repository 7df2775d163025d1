import type { Host } from '@atoll/host'

/** A new trace: a W3C `traceparent` with fresh ids, sampled. */
export function newTrace(host: Host): string {
  return `00-${host.hex(16)}-${host.hex(8)}-01`
}

/** A new span in the trace of `parent`: its id becomes the parent of what happens next. */
export function childTrace(host: Host, parent: string): string {
  return `${parent.slice(0, 36)}${host.hex(8)}${parent.slice(52)}`
}

/** Whether `text` is a version 00 `traceparent` with ids that are not zero. */
export function isTrace(text: string): boolean {
  return /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/.test(text)
}
