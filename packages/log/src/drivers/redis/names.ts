// What the things of one system are called in Redis.

/** The braces keep the streams of a source in one slot, so that one script may touch several. */
export function streamKey(system: string, source: string, partition: number): string {
  return `atoll:{${system}/${source}}:${partition}`
}

/**
 * What the keys of all streams of a system match, for SCAN. A system's name holds no character that is special there.
 */
export function streamPattern(system: string): string {
  return `atoll:{${system}/*}:*`
}

/** Where hints of new records of a source are published. */
export function hintsChannel(system: string, source: string): string {
  return `atoll:{${system}/${source}}:hints`
}
