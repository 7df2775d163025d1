/**
 * A text without the passwords of the addresses in it: those before an @, and those among parameters. In doubt it hides
 * too much: an `@`, `/` or `,` that somebody forgot to write as %40 belongs to a password. Of a text with more than
 * `charsMax` characters, the beginning; the time is linear in its length.
 */
export function maskSecrets(text: string, charsMax = Infinity): string {
  const shown = text.length > charsMax ? `${beginningOf(text, charsMax)}… (cut)` : text
  return shown.includes('://') ? shown.replace(address, mask) : shown
}

/**
 * The beginning of a text. An address that its end goes through is left out, since nobody can tell what of it would
 * have stood before an @.
 */
function beginningOf(text: string, charsMax: number): string {
  let start = charsMax
  while (start > 0 && !/[\s"'<>`]/.test(text[start - 1]!)) start-- // within the text, which is longer
  const scheme = text.indexOf('://', start)
  return scheme < 0 || scheme + 3 > charsMax ? text.slice(0, charsMax) : `${text.slice(0, scheme)}://***`
}

/**
 * An address inside a text, from behind its scheme; a list of them ends where the next one begins. What the scheme is
 * makes no difference, and a pattern that began with one would look at a long word again from each of its letters.
 */
const address = /:\/\/((?:(?!,[a-z][a-z0-9+.-]*:\/\/)[^\s"'<>`])*)/gi

function mask(_: string, rest: string): string {
  const end = endOfHosts(rest)
  return `://${maskHosts(rest.slice(0, end))}${maskParameters(rest.slice(end))}`
}

/**
 * Where the hosts end, with what is before their @: at the first of `/?#`, unless what stands there is a part of a
 * password.
 */
function endOfHosts(rest: string): number {
  const first = rest.search(/[/?#]/)
  if (first < 0) return rest.length
  const [before, after] = [rest.slice(0, first), rest.slice(first)]
  const last = after.lastIndexOf('@')
  if (last < 0) return first
  const inPath = after.search(/[?#]/) < 0 ? last : after.slice(0, after.search(/[?#]/)).lastIndexOf('@')
  const isParameter =
    inPath < 0 && before.split(',').every((part) => hostAfter(part) !== undefined) && /^[^@]*=/.test(after)
  if (isParameter) return first
  const next = after.slice(last).search(/[/?#]/)
  return next < 0 ? rest.length : first + last + next
}

/** One host or several, each with what logs in there. */
function maskHosts(hosts: string): string {
  const parts = hosts.split(',')
  const begin = parts.findIndex((part) => part.includes('@'))
  if (begin < 0) return hosts
  // What is before the first @ may be the beginning of a password with commas in it.
  return parts
    .slice(begin)
    .map((part, index) => {
      const at = part.lastIndexOf('@')
      if (at < 0) return hostAfter(part) ?? '***'
      const user = begin === 0 || index > 0 ? /^([^:@]*:)/.exec(part.slice(0, at))?.[1] : undefined
      return `${user ?? ''}***@${part.slice(at + 1)}`
    })
    .join(',')
}

/** A part of a list that names a host, and no piece of a password. */
function hostAfter(part: string): string | undefined {
  const host = part.slice(part.lastIndexOf('@') + 1)
  return /^(?:\[[0-9a-f:.%]+\]|[\w.%-]*)(?::\d*)?$/i.test(host) ? host : undefined
}

function maskParameters(rest: string): string {
  return rest.replace(/[^&#]+/g, maskParameter)
}

/**
 * A parameter with what its value holds: a semicolon begins another one for some drivers, and a question mark those of
 * an address within this one.
 */
function maskParameter(parameter: string): string {
  for (const { index, 0: before, 1: name } of parameter.matchAll(/(?:^|[?;])([^?;=]+)=/g))
    if (isSecret(name!)) return `${parameter.slice(0, index + before.length)}***` // the pattern has a name
  return parameter
}

function isSecret(name: string): boolean {
  try {
    return secretNames.test(decodeURIComponent(name))
  } catch {
    return true // nobody can tell what it is
  }
}

const secretNames = /pass|pwd|secret|token|key|cred|auth|sig/i
