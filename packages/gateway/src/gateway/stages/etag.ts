// HTTP takes only visible ASCII between an ETag's quotes, and a version may be any text. What does not fit is
// percent-encoded, and decoded when it comes back, so that handlers see the version that they gave out. Behind a
// semicolon comes the digest of what was answered: the same version may look different to another caller, or later.

/** A version as the value of an ETag header. */
export function toEtag(version: string, digest?: string): string {
  const opaque = version.toWellFormed().replace(/[^\x21\x23\x24\x26-\x3a\x3c-\x7e]+/g, encodeAll)
  return digest === undefined ? `"${opaque}"` : `"${opaque};${digest}"`
}

/** The version in what stands between the quotes of an ETag. */
export function versionOf(opaque: string): string {
  const encoded = opaque.replace(/;.*$/s, '')
  try {
    return decodeURIComponent(encoded)
  } catch {
    return encoded // not one of ours; the handler will find that it is not the present version
  }
}

function encodeAll(text: string): string {
  return Buffer.from(text).toString('hex').toUpperCase().replace(/../g, '%$&')
}
