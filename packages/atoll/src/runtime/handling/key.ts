import { AtollError, type Logger } from '@atoll/host'

/**
 * Why something cannot be a key; undefined if it can. Half of a surrogate pair would be stored as U+FFFD, and two keys
 * would become one.
 */
export function flawOfKey(key: unknown): string | undefined {
  if (typeof key !== 'string') return 'is no text'
  if (key.length === 0) return 'is empty'
  if (key.length > KEY_CHARS_MAX) return `has ${key.length} characters, and ${KEY_CHARS_MAX} are allowed`
  if (key.includes('\0')) return 'contains U+0000'
  return key.isWellFormed() ? undefined : 'contains half of a surrogate pair'
}

/** Where a key comes from that cannot be one, and who hears of it. */
export interface KeyOrigin {
  /** What was sent, if this handles that. */
  readonly sent: unknown
  readonly isFromClient: boolean
  /** The id of what is handled. */
  readonly cause: string
  readonly service: string
  readonly faults: Pick<Logger, 'error'>
}

/**
 * The refusal of a key: INVALID if it comes from something that was sent, with the field where one is found;
 * EVENT_INVALID if the handler made it, which is then the handler's fault. How a key is made of what a client sent
 * (joined, encoded, cut off, left out) cannot be seen: where a client sent anything, it counts as the client's, because
 * otherwise any client could cause a failure of ours as often as it likes. It may be the handler's all the same: where
 * no field is found, the log tells of it.
 */
export function unfitKey(
  event: string,
  key: unknown,
  flaw: string,
  { sent, isFromClient, cause, service, faults }: KeyOrigin,
): AtollError {
  const field = typeof key === 'string' ? fieldBehind(key, textsIn(sent)) : undefined
  const rule = `the key of ${event} ${flaw}; a key is a well-formed text of 1 to ${KEY_CHARS_MAX} characters, without U+0000`
  if (field !== undefined)
    return new AtollError('INVALID', `${field || 'input'} cannot be a key: ${rule}`, {
      details: { fields: { [field]: [`cannot be a key: the key of ${event} ${flaw}`] } },
    })
  if (!isFromClient) return new AtollError('EVENT_INVALID', rule)
  const error = new AtollError('INVALID', `what was sent makes no key: ${rule}`)
  faults.error(
    { service, event, requestId: cause, error },
    `a handler made a key of ${event} that cannot be one, and of which field is not seen; the client was answered INVALID. If what was sent led to it, have the operation's schema refuse that; if not, the handler is to be mended`,
  )
  return error
}

interface Text {
  readonly field: string
  readonly text: string
}

/**
 * The field without which the key would have been one: keys are mostly a field, or some together, perhaps in lower
 * case.
 */
function fieldBehind(key: string, texts: readonly Text[]): string | undefined {
  if (key === '') return texts.find(({ text }) => text.trim() === '')?.field
  if (key.length > KEY_CHARS_MAX) {
    const longest = texts.toSorted((a, b) => b.text.length - a.text.length)[0]
    return longest && longest.text.length * 4 >= key.length && key.length - longest.text.length <= KEY_CHARS_MAX
      ? longest.field
      : undefined
  }
  return texts.find(({ text }) => text.includes('\0') || !text.isWellFormed())?.field
}

/** The texts in a value, and the numbers, which become texts in a key. */
function textsIn(value: unknown, field = ''): Text[] {
  if (typeof value === 'string') return [{ field, text: value }]
  if (typeof value === 'number') return [{ field, text: String(value) }]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, part]) => textsIn(part, field === '' ? name : `${field}.${name}`))
}

const KEY_CHARS_MAX = 200
