import { isOrderBefore } from '@atoll/log/driver'

/**
 * How far sources had got, as somebody saw it: source → partition → order token of the last event. Handing it to a causal query
 * makes the query wait until its service has handled all of that.
 */
export type Position = Readonly<Record<string, Readonly<Record<number, string>>>>

export const emptyPosition: Position = {}

/** The later of both, per source and partition. Shares with them what it can: positions never change. */
export function mergePositions(a: Position, b: Position): Position {
  if (a === emptyPosition) return b
  if (b === emptyPosition) return a
  const merged: Record<string, Readonly<Record<number, string>>> = { ...a }
  for (const [source, later] of Object.entries(b)) merged[source] = Object.hasOwn(a, source) ? mergePartitions(a[source]!, later) : later
  return merged
}

function mergePartitions(a: Readonly<Record<number, string>>, b: Readonly<Record<number, string>>): Readonly<Record<number, string>> {
  let merged: Record<number, string> | undefined
  for (const [key, order] of Object.entries(b)) {
    const partition = Number(key)
    const known = a[partition]
    if (known === undefined || isOrderBefore(known, order)) (merged ??= { ...a })[partition] = order
  }
  return merged ?? a
}

/** The text form, for headers: `articles.3.1042,profiles.0.77`. Empty for the empty position. */
export function encodePosition(position: Position): string {
  const parts: string[] = []
  for (const [source, partitions] of Object.entries(position)) {
    for (const [partition, order] of Object.entries(partitions)) parts.push(`${source}.${partition}.${order}`)
  }
  return parts.join(',')
}

/** Reads the text form. Undefined for text that is not one; a position from a client is a hint, never worth an error. */
export function decodePosition(text: string): Position | undefined {
  const position: Record<string, Record<number, string>> = {}
  if (text === '') return position
  for (const part of text.split(',')) {
    const match = /^([a-z][a-z0-9-]*)\.(\d{1,4})\.([0-9A-Za-z:]{1,60})$/.exec(part)
    if (!match) return undefined
    const [, source, partition, order] = match as unknown as [string, string, string, string]
    partitionsIn(position, source)[Number(partition)] = order
  }
  return position
}

/** The text comes from the network, and names like `constructor` are on every object. */
function partitionsIn(position: Record<string, Record<number, string>>, source: string): Record<number, string> {
  return Object.hasOwn(position, source) ? position[source]! : (position[source] = {})
}
