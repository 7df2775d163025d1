import { isOrderBefore } from '@atoll/log/driver'

/**
 * How far sources had got, as somebody saw it: source → partition → order token of the last event, and, behind dashes,
 * of those that this somebody caused before it (`1042-1040`): an earlier one may be waiting for another try while the
 * cursor is past it. Handing it to a causal query makes the query wait until its service has handled all of that.
 */
export type Position = Readonly<Record<string, Readonly<Record<number, string>>>>

export const emptyPosition: Position = {}

/** The later of both, per source and partition. Shares with them what it can: positions never change. */
export function mergePositions(a: Position, b: Position): Position {
  if (a === emptyPosition) return b
  if (b === emptyPosition) return a
  const merged: Record<string, Readonly<Record<number, string>>> = { ...a }
  for (const [source, later] of Object.entries(b))
    merged[source] = Object.hasOwn(a, source) ? mergePartitions(a[source]!, later) : later
  return merged
}

function mergePartitions(
  a: Readonly<Record<number, string>>,
  b: Readonly<Record<number, string>>,
): Readonly<Record<number, string>> {
  let merged: Record<number, string> | undefined
  for (const [key, order] of Object.entries(b)) {
    const partition = Number(key)
    const known = a[partition]
    const both = known === undefined ? order : mergeOrders(known, order)
    if (both !== known) (merged ??= { ...a })[partition] = both
  }
  return merged ?? a
}

/** The order tokens of one partition of a position, latest first. */
export function ordersOf(orders: string): readonly string[] {
  return orders.includes('-') ? orders.split('-') : [orders]
}

/** The latest of them. */
export function latestOf(orders: string): string {
  const end = orders.indexOf('-')
  return end < 0 ? orders : orders.slice(0, end)
}

/** Both, latest first, as far as they are worth keeping. */
export function mergeOrders(a: string, b: string): string {
  if (a === b) return a
  const all = [...new Set([...ordersOf(a), ...ordersOf(b)])].sort((x, y) => (isOrderBefore(x, y) ? 1 : -1))
  const merged = all.slice(0, ORDERS_MAX).join('-')
  return merged === a ? a : merged
}

/**
 * Events of one caller in one partition whose retries are waited for; those before them are taken to be handled or
 * dead.
 */
const ORDERS_MAX = 4

/** Places that a position has in its text form, which must fit into a header. What is beyond is not waited for. */
const PLACES_MAX = 256

/** The text form, for headers: `articles.3.1042,profiles.0.77`. Empty for the empty position. */
export function encodePosition(position: Position): string {
  const parts: string[] = []
  for (const [source, partitions] of Object.entries(position)) {
    for (const [partition, order] of Object.entries(partitions)) parts.push(`${source}.${partition}.${order}`)
  }
  return parts.slice(0, PLACES_MAX).join(',')
}

/**
 * Reads the text form. Undefined for text that is not one; a position from a client is a hint, never worth an error.
 */
export function decodePosition(text: string): Position | undefined {
  const position: Record<string, Record<number, string>> = {}
  if (text === '') return position
  for (const part of text.split(',', PLACES_MAX)) {
    const match = /^([a-z][a-z0-9-]*)\.(\d{1,4})\.([0-9A-Za-z:]{1,60}(?:-[0-9A-Za-z:]{1,60}){0,3})$/.exec(part)
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
