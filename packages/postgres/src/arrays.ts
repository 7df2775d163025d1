/**
 * Arrays as PostgreSQL's wire format has them. A statement that takes columns (`unnest($1::text[], …)`) inserts
 * thousands of rows in one go, and in this format neither side quotes, escapes or parses a thing.
 */

const oids = { int8: 20, int4: 23, text: 25 }
const headerBytes = 20
const integerMax = 2 ** 31

/** For `$1::text[]`. The texts must have no NUL: see `toStorable`. */
export function textArray(texts: readonly string[]): Buffer {
  const lengths = texts.map((text) => Buffer.byteLength(text))
  const buffer = allocate(
    oids.text,
    texts.length,
    lengths.reduce((sum, bytes) => sum + 4 + bytes, 0),
  )
  let at = headerBytes
  for (let index = 0; index < texts.length; index++) {
    at = buffer.writeInt32BE(lengths[index]!, at)
    at += buffer.write(texts[index]!, at)
  }
  return buffer
}

/** For `$1::int4[]`. Throws a RangeError for what is not a whole number of 32 bits. */
export function int4Array(numbers: readonly number[]): Buffer {
  const buffer = allocate(oids.int4, numbers.length, numbers.length * 8)
  let at = headerBytes
  for (const number of numbers) {
    if (!(Number.isInteger(number) && number >= -integerMax && number < integerMax))
      throw new RangeError(`${number} is not a whole number of 32 bits`)
    at = buffer.writeInt32BE(4, at)
    at = buffer.writeInt32BE(number, at)
  }
  return buffer
}

/** For `$1::int8[]`. Throws a RangeError for what is not a whole number that JavaScript has exactly. */
export function int8Array(numbers: readonly number[]): Buffer {
  const buffer = allocate(oids.int8, numbers.length, numbers.length * 12)
  let at = headerBytes
  for (const number of numbers) {
    if (!Number.isSafeInteger(number)) throw new RangeError(`${number} is not a whole number within 2^53`)
    const high = Math.floor(number / 2 ** 32)
    at = buffer.writeInt32BE(8, at)
    at = buffer.writeInt32BE(high, at)
    at = buffer.writeUInt32BE(number - high * 2 ** 32, at)
  }
  return buffer
}

/**
 * The header: one dimension, no NULLs, the type, the length, and the index of the first element. An empty array has no
 * dimension.
 */
function allocate(oid: number, length: number, bytes: number): Buffer {
  if (length === 0) {
    const empty = Buffer.alloc(12)
    empty.writeInt32BE(oid, 8)
    return empty
  }
  const buffer = Buffer.allocUnsafe(headerBytes + bytes)
  for (const [index, value] of [1, 0, oid, length, 1].entries()) buffer.writeInt32BE(value, index * 4)
  return buffer
}
