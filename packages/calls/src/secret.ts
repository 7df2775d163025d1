import { AtollError } from '@atoll/host'

/** Who may call the processes of a system. */
export interface Trust {
  /** What they share: who sends it may act for all of them, and in the name of every user. 16 characters at least. */
  readonly secret?: string | undefined
  /**
   * Without a secret: lets every program on this machine, of whatever account, act as a process of the system and in
   * the name of every user. Only on loopback. Default false: what has no secret does not run.
   */
  readonly trustEveryLocalAccount?: boolean | undefined
}

/**
 * Refuses to run what strangers could use to be every user, since the caller's name is passed in clear: anything
 * without a secret, unless that was given up by name, and never for more than loopback. `what` is the subject of the
 * message. CONFIG_INVALID, because it is a matter of settings.
 */
export function assertGuarded(host: string, { secret, trustEveryLocalAccount = false }: Trust, what: string): void {
  if (secret !== undefined) return assertSecret(secret)
  const remedy =
    'set ATOLL_CALLS_SECRET (calls.secret), the same for every process of the system; `openssl rand -hex 32` makes one'
  if (!isLoopback(host)) {
    throw new AtollError(
      'CONFIG_INVALID',
      `${what} would listen at ${host} without a secret, and anybody who reaches it could act in the name of every user: ${remedy}`,
    )
  }
  if (trustEveryLocalAccount) return
  throw new AtollError(
    'CONFIG_INVALID',
    `${what} would run without a secret, and every program on this machine, of any account, could act in the name of every user: ${remedy}. Where nobody else has an account it can be given up by name: --trust-every-local-account (calls.trustEveryLocalAccount)`,
  )
}

/** A secret travels in a header, which takes visible characters and loses spaces at its ends. */
function assertSecret(secret: string): void {
  if (secret.length < SECRET_CHARS_MIN) {
    throw new AtollError(
      'CONFIG_INVALID',
      `the secret for calls has ${secret.length} characters; give at least ${SECRET_CHARS_MIN}, such as \`openssl rand -hex 32\` prints`,
    )
  }
  if (!/^[\x20-\x7e]+$/.test(secret) || secret.trim() !== secret) {
    throw new AtollError(
      'CONFIG_INVALID',
      'the secret for calls has characters that a header cannot carry; give letters and digits, such as `openssl rand -hex 32` prints',
    )
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** Shortest secret, characters: of 16 random ones nobody guesses any. */
const SECRET_CHARS_MIN = 16
