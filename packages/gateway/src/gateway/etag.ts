// HTTP takes only visible ASCII between an ETag's quotes, and a version may be any text. What does not fit is percent-encoded, and
// decoded when it comes back, so that handlers see the version that they gave out.

/** A version as the value of an ETag header. */
export function toEtag(version: string): string {
  return `"${version.toWellFormed().replace(/[^\x21\x23\x24\x26-\x7e]+/g, encodeAll)}"`
}

/** The version in If-Match or If-None-Match. Undefined if there is none, or `*`, which asks for none in particular. */
export function versionOf(header: string | undefined): string | undefined {
  const sent = header?.trim()
  if (sent === undefined || sent === '*') return undefined
  const opaque = sent.replace(/^W\//, '').replace(/^"(.*)"$/, '$1')
  try {
    return decodeURIComponent(opaque)
  } catch {
    return opaque // not one of ours; the handler will find that it is not the present version
  }
}

function encodeAll(text: string): string {
  return Buffer.from(text).toString('hex').toUpperCase().replace(/../g, '%$&')
}
