import { availableParallelism } from 'node:os'
import { hash, verify } from '@node-rs/argon2'
import { Gate } from './gate.ts'

/** Argon2id with the parameters that OWASP recommends: 19 MiB, two passes. */
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/**
 * Hashes are made to be expensive, so anybody can have much computed by asking for little. Two at a time leave half of
 * Node's four threads to what checks tokens and asks DNS, and a processor, if there are several, to all else. Those
 * that wait are at their turn while somebody still waits for the answer.
 */
export const gate = new Gate('passwords', {
  inFlightMax: Math.max(1, Math.min(2, availableParallelism() - 1)),
  waitingMax: 32,
})

/** Throws OVERLOADED if no password can be hashed now: refusing must cost less than asking. */
export function assertRoomForPassword(): void {
  gate.assertRoom()
}

/** OVERLOADED if too many are being hashed; the signal's reason if that aborts before the turn comes. */
export function hashPassword(password: string, signal?: AbortSignal): Promise<string> {
  return gate.run(() => hash(password.normalize('NFC'), cost), signal)
}

/**
 * How the text was made that a hash is of: `given` takes what its user typed, in one form of Unicode (NFC), since
 * keyboards differ in that. `trimmed` are those of users who registered when spaces at both ends of passwords were
 * dropped; they go on as they are.
 */
export type PasswordForm = 'given' | 'trimmed'

/**
 * Whether a password fits a hash. Without a hash it takes as long and says no, so that nobody can tell which e-mails
 * are known. Rejects as {@link hashPassword} does.
 */
export const isPassword = createPasswordCheck({ hash, verify, gate })

export interface PasswordTools {
  readonly hash: (password: string, options: typeof cost) => Promise<string>
  readonly verify: (hash: string, password: string) => Promise<boolean>
  readonly gate: Gate
}

/** The check, with what computes hashes. */
export function createPasswordCheck({ hash, verify, gate }: PasswordTools) {
  let nobody: string | undefined
  // In the turn of those who need it first, and not kept if it fails: it would fail everybody who mistypes an e-mail
  // from then on.
  const nobodysHash = async (): Promise<string> => (nobody ??= await hash('nobody has this password', cost))
  return async (
    known: { readonly password_hash: string; readonly password_form: PasswordForm } | undefined,
    password: string,
    signal: AbortSignal,
  ): Promise<boolean> => {
    const text = known?.password_form === 'trimmed' ? password.trim() : password.normalize('NFC')
    const fits = await gate.run(async () => verify(known?.password_hash ?? (await nobodysHash()), text), signal)
    return fits && known !== undefined
  }
}
