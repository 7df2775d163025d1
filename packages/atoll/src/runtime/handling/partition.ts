/**
 * The partition of a key. FNV-1a over UTF-16 code units, mixed by the finalizer of MurmurHash3, because FNV's low bits
 * alone spread short, similar keys badly. Fixed for ever: it decides where the past of a key lies.
 */
export function partitionOf(key: string, partitions: number): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index++) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
  }
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  hash ^= hash >>> 16
  return (hash >>> 0) % partitions
}
